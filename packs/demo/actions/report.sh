#!/bin/sh
# Prints one sentence about a machine; changes nothing.
set -eu
LC_ALL=C
export LC_ALL
printf '%s is at load %.2f on %d CPUs with %d processes; memory is %.1f %% used, and %s, its fullest disk, %.1f %%.\n' \
    "$1" "$2" "$3" "$7" "$4" "$5" "$6"
