#!/usr/bin/env bash
# Says in what state the machine is and, once it is ready, the run on each worker.
#
#     tpu_scripts/status.sh [--dry-run] [--settings=FILE]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
no_more_arguments
load_settings
if $DRY_RUN; then
  print_state_commands
  STATE=ready
else
  STATE=$(machine_state)
  echo "$NAME is $STATE"
fi
if [[ $STATE == ready ]]; then ask_run_states; fi
