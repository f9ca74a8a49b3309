#!/bin/sh
# Stands in for a clean-up: it only says what it would do.
set -eu
printf 'would remove files older than %s from /tmp on %s\n' "$2" "$1"
