# Runs one command on a host, and ends it when its worker says so, is gone, or says nothing for longer than its lease.
# Sent as one line, without these comments: each line goes on where the one before ends. Before it is evaluated, `job`
# (see wire.rs) has set:
#   n  a number of this run that nobody knows beforehand; every line to the worker begins with it
#   d  the directory to run in, or nothing
#   x  a directory to remove in the end, or nothing
#   e  a function that exports the variables
#   $@ the command
# File descriptors: 1 and 2 are the command's, 3 what the worker says, 5 what 2 was.
say() { printf '%s\n' "$n $*"; };
# Whole seconds of a clock that nobody sets, where there is one.
up() { if read -r t r 2>/dev/null </proc/uptime; then t=${t%%.*}; else t=$(date +%s); fi; };
leave() { [ -z "$x" ] || rm -rf -- "$x"; exit "$1"; };
[ -z "$d" ] || cd "$d" 2>/dev/null || { say no directory; leave 255; };
(e; command -v "$1" >/dev/null 2>&1) || { say no program; leave 255; };
s=$(command -v setsid);
# What runs in the background of a shell ignores interrupts, and so would what it starts.
g=$(command -v env);
if "$g" --default-signal=INT,QUIT true 2>/dev/null; then g="$g --default-signal=INT,QUIT"; else g=; fi;
up; say up "$t";
IFS= read -r l || leave 255;
case $l in 'go '*) D=${l#go };; *) leave 255;; esac;
# The worker may have been stopped, or the line on its way, for longer than the lease.
up; [ "$D" -gt "$t" ] || { say no lease; leave 255; };
say run;
exec 3<&0 5>&2 </dev/null 2>/dev/null;
[ -n "$s" ] || set -m;
(export PETREL_SSH_RUN="$n"; set -- $s $g "$@"; e; exec "$@") 2>&5 3<&- 5>&- & c=$!;
exec 5>&-;
[ -n "$s" ] || set +m;
end() { kill -KILL "-$c" || kill -KILL "$c"; };
quit() { [ -z "$z" ] || kill -KILL "$z"; exit 0; };
# Ends the command at the instant D, unless another one comes to take its place. Told to end while it begins one, it knows
# the number of that only afterwards: left alone, it would end whatever has the command's number by then.
clock() {
  b=1; [ -z "$z" ] || kill -KILL "$z"; [ -z "$z" ] || wait "$z";
  (while up; [ "$D" -gt "$t" ]; do sleep 1; done; end) 3<&- & z=$!;
  b=; [ -z "$q" ] || quit;
};
watch() {
  z=; q=; b=; trap 'q=1; [ -n "$b" ] || quit' TERM;
  clock;
  while IFS= read -r l; do
    case $l in
      'keep '*) D=${l#keep }; clock;;
      'term '*) kill -TERM "-$c" || kill -TERM "$c"; up; D=$((t + ${l#term })); clock;;
      *) end;;
    esac;
  done;
  end;
  [ -z "$z" ] || kill -KILL "$z";
};
watch <&3 3<&- >/dev/null & w=$!;
wait "$c"; a=$?;
kill -TERM "$w"; wait "$w";
# What it left behind: its group, and what left that but has its variables still.
end;
m="PETREL_SSH_RUN=$n";
# Small systems have a grep that ends at the first variable.
if printf 'a\0b' | grep -qF b; then
  found() { grep -lsF "$m" /proc/[0-9]*/environ; };
else
  found() { for f in /proc/[0-9]*/environ; do if tr '\0' '\n' <"$f" | grep -qF "$m"; then echo "$f"; fi; done; };
fi;
i=0;
while [ "$i" -lt 20 ]; do
  i=$((i + 1)); q=$(found);
  [ -n "$q" ] || break;
  for p in $q; do p=${p#/proc/}; kill -KILL "${p%/environ}"; done;
done;
leave "$a"
