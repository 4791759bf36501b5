#!/usr/bin/env bash
# Ends the run on every worker and keeps the machine, which goes on costing; delete.sh ends that.
#
#     tpu_scripts/stop.sh [--dry-run] [--settings=FILE]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
no_more_arguments
load_settings
on_workers_run all stop
