#!/usr/bin/env bash
# Deletes the machine and its disk, and its place in the queue. What is in the bucket stays.
#
#     tpu_scripts/delete.sh [--yes] [--dry-run] [--settings=FILE]
#
# gcloud asks first, unless --yes.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
OPTIONS=()
for argument in "${ARGUMENTS[@]}"; do
  case $argument in
    --yes) OPTIONS=(--quiet) ;;
    *) fail "unknown argument $argument; see --help" ;;
  esac
done
load_settings
delete_machine "${OPTIONS[@]}"
