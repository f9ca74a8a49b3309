# Writes a file on a host: what follows on the input, up to its end. It takes its place as a whole, or not at all.
#   n  a number of this run that nobody knows beforehand; every line to the worker begins with it
#   x  a directory to make for it, or nothing
#   f  the file
#   m  its mode
#   b  its size in bytes
say() { printf '%s\n' "$n $*"; };
up() { if read -r t r 2>/dev/null </proc/uptime; then t=${t%%.*}; else t=$(date +%s); fi; };
umask 077;
up; say up "$t";
IFS= read -r l || exit 255;
case $l in 'go '*) D=${l#go };; *) exit 255;; esac;
[ "$D" -gt "$t" ] || { say no lease; exit 255; };
[ -z "$x" ] || mkdir -m 700 "$x" || { say no directory; exit 255; };
[ ! -d "$f" ] || { say no file; exit 255; };
o=$f.petrel-$n;
fail() { rm -f -- "$o"; [ -z "$x" ] || rmdir -- "$x"; say no "$1"; exit 255; };
# Nothing that stands there is followed.
set -C;
(: >"$o") 2>/dev/null || { say no directory; exit 255; };
set +C;
cat >"$o" || fail space;
a=$(wc -c <"$o");
[ "$a" -eq "$b" ] || fail whole;
chmod "$m" "$o" || fail mode;
up; [ "$D" -gt "$t" ] || fail lease;
mv -f -- "$o" "$f" || fail file;
say done
