#!/usr/bin/env bash
# Installs the library at this checkout's last commit on every worker, mounts the bucket of the settings at /mnt/bucket,
# and checks the installation.
#
#     tpu_scripts/setup.sh [--t5x] [--dry-run] [--settings=FILE]
#
# --t5x also installs T5X, AirIO and JEstimator at the commits in t5x_requirements.txt.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
EXTRAS=()
for argument in "${ARGUMENTS[@]}"; do
  case $argument in
    --t5x) EXTRAS=(--t5x) ;;
    *) fail "unknown argument $argument; see --help" ;;
  esac
done
load_settings

REPOSITORY=$(dirname "$SCRIPTS")
BUNDLE=llmrec_jax.bundle
if ! $DRY_RUN; then
  git -C "$REPOSITORY" diff --quiet HEAD ||
    fail "tracked files in $REPOSITORY differ from its last commit, which is what the workers get; commit them first"
  FOLDER=$(mktemp -d)
  trap 'rm -rf "$FOLDER"' EXIT
  BUNDLE=$FOLDER/$BUNDLE
fi

# With its history, so that what a run writes down of its environment names the commit.
run git -C "$REPOSITORY" bundle create --quiet "$BUNDLE" HEAD
copy_to_workers "$BUNDLE"
# Checked out over what is there, so that a workdir inside the folder survives.
# shellcheck disable=SC2016  # $HOME is the worker's
STEPS='git init --quiet "$HOME"/llmrec_jax && cd "$HOME"/llmrec_jax && git fetch --quiet ../llmrec_jax.bundle HEAD'
STEPS+=' && git checkout --quiet --force --detach FETCH_HEAD'
if [[ -n ${BUCKET:-} ]]; then STEPS+=" && bash tpu_scripts/worker_mount.sh $(quote_words "$BUCKET")"; fi
STEPS+=" && bash tpu_scripts/worker_install.sh $(quote_words "$MACHINE" "${EXTRAS[@]}")"
on_workers all "$STEPS"
