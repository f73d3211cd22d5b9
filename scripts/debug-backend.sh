#!/usr/bin/env bash
# Attach a debugger to a running backend plugin: the tutorial's script, done by `debugtool attach`.
set -eu
usage="Usage: $0 [plugin process name] [port]"
if [ "${1:-}" = "-h" ] || [ "${1:-}" = "--help" ]; then
  echo "$usage"
  exit 0
fi
if [ $# -gt 2 ]; then
  echo "$usage" >&2
  exit 2
fi
debugtool=$(dirname "$0")/../.venv/bin/debugtool
[ -x "$debugtool" ] || debugtool=debugtool
exec "$debugtool" attach "${1:-my-datasource}" --port "${2:-3222}"
