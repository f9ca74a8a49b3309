#!/usr/bin/env bash
# ping.sh ADDRESS PORT: answers with {"reachable": …, "text": …}.
# Where there is no ping, or no leave to use it, a connection to the port of SSH is as good a sign of life.
set -u
address=$1 port=$2
tell() { printf '{"reachable": %s, "text": "%s"}\n' "$1" "$2"; exit 0; }
case $address in
  *[!0-9A-Za-z.:_-]* | -* | '') tell false 'no address that can be asked' ;;
esac
if told=$(ping -n -c 3 -i 0.2 -W 2 -- "$address" 2>/dev/null); then
  rtt=$(printf '%s\n' "$told" | sed -n 's|^r[a-z]* .* = [0-9.]*/\([0-9.]*\)/.*|\1|p')
  tell true "answers to ping within ${rtt:-a few} ms on average"
fi
if timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$address" "$port" 2>/dev/null; then
  tell true "answers on port $port"
fi
tell false "answers neither to ping nor on port $port"
