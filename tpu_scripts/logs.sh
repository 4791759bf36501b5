#!/usr/bin/env bash
# Prints the end of a worker's log, and with --follow what is added to it until interrupted.
#
#     tpu_scripts/logs.sh [--worker=N|all] [--lines=N] [--follow] [--dry-run] [--settings=FILE]
#
# Worker 0 and 40 lines unless said otherwise. Interrupting this does not interrupt the run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
WORKER=0
LINES_SHOWN=40
FOLLOW=()
for argument in "${ARGUMENTS[@]}"; do
  case $argument in
    --worker=*) WORKER=${argument#*=} ;;
    --lines=*) LINES_SHOWN=${argument#*=} ;;
    --follow) FOLLOW=(--follow) ;;
    *) fail "unknown argument $argument; see --help" ;;
  esac
done
[[ $WORKER =~ ^([0-9]+|all)$ ]] || fail "--worker=$WORKER is neither a number nor all"
[[ $LINES_SHOWN =~ ^[0-9]+$ ]] || fail "--lines=$LINES_SHOWN is no number"
load_settings
on_workers_run "$WORKER" log "$LINES_SHOWN" "${FOLLOW[@]}"
