#!/bin/sh
# host_state.sh SERVICE: what systemd says of it, a line, and the end of its journal.
systemctl show --property=ActiveState,SubState,Result,NRestarts -- "$1" || exit 1
echo '--- journal'
exec journalctl --unit="$1" --lines=5 --output=short-iso --no-pager
