# Runs what stands behind it until it ends, or until whoever started this says so by ending its input, also by being killed.
# The line `kill` on its input is a kill -9.
trap '' INT
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(
  read -r word <&3
  if [ "$word" = kill ]; then
    kill -KILL "$server"
    exit
  fi
  kill -TERM "$server"
  i=0
  while [ "$i" -lt 60 ] && kill -0 "$server"; do sleep 1; i=$((i + 1)); done
  kill -KILL "$server"
) 2>/dev/null &
watch=$!
exec 3<&-
wait "$server"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
