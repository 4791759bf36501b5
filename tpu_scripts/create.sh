#!/usr/bin/env bash
# Creates the machine of the settings: on demand, spot, or as a request that waits in the queue.
#
#     tpu_scripts/create.sh [--dry-run] [--settings=FILE]
#
# A queued request returns at once; tpu_scripts/status.sh says when its TPU is ready. Costs begin when it is.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
no_more_arguments
load_settings
create_machine
