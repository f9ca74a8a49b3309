# Reads a file on a host, up to a limit.
#   n  a number of this run that nobody knows beforehand; every line to the worker begins with it
#   f  the file
#   b  most bytes of it
say() { printf '%s\n' "$n $*"; };
[ -f "$f" ] && [ -r "$f" ] || { say no file; exit 255; };
a=$(wc -c <"$f") || { say no file; exit 255; };
say size $a;
exec head -c "$b" -- "$f"
