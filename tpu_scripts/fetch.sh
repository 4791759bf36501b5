#!/usr/bin/env bash
# Copies results here: what a folder of a bucket (gs://…) has that the destination lacks, or a file or folder of
# worker 0, its path relative to the home folder, to a destination that does not exist yet.
#
#     tpu_scripts/fetch.sh [--dry-run] [--settings=FILE] SOURCE DESTINATION
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
((${#ARGUMENTS[@]} == 2)) || fail 'give what to copy and where to; see --help'
SOURCE=${ARGUMENTS[0]}
DESTINATION=${ARGUMENTS[1]}
load_settings
case $SOURCE in
  gs://*)
    run mkdir -p "$DESTINATION"
    run gcloud storage rsync "$SOURCE" "$DESTINATION" --recursive
    ;;
  *)
    [[ ! -e $DESTINATION ]] || fail "$DESTINATION exists already; name another place"
    run mkdir -p "$(dirname "$DESTINATION")"
    copy_from_worker "$SOURCE" "$DESTINATION"
    ;;
esac
