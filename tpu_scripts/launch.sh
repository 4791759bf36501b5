#!/usr/bin/env bash
# Starts a command on every worker, in the library's folder and environment, and leaves it running.
#
#     tpu_scripts/launch.sh [--dry-run] [--settings=FILE] -- COMMAND
#
# e.g. -- python -m llmrec_jax.run --gin_file=gin_configs/tiger/amazon_beauty.gin --gin.WORKDIR=… --distributed
# or   -- python -m t5x.train --gin_file=… --gin.MODEL_DIR=… --multiprocess_gpu   (for TPUs too, despite its name)
# It outlives the connection; its output goes to ~/llmrec_run/log of each worker (tpu_scripts/logs.sh).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
no_more_arguments
require_command
load_settings
on_workers_run all start "${COMMAND[@]}"
