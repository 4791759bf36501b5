#!/usr/bin/env bash
# Mounts a bucket at /mnt/bucket of the machine it runs on, so that all workers share a folder; setup.sh calls it.
#
#     tpu_scripts/worker_mount.sh BUCKET [--dry-run]
#
# The bucket must have a hierarchical namespace: without one a folder cannot be renamed in one step, which is how a
# checkpoint is finished.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
((${#ARGUMENTS[@]} == 1)) || fail 'give the name of one bucket'
BUCKET=${ARGUMENTS[0]}
FOLDER=/mnt/bucket

if ! $DRY_RUN && mountpoint --quiet "$FOLDER"; then exit; fi
if $DRY_RUN || ! command -v gcsfuse >/dev/null; then
  run sudo curl --fail --silent --show-error --output /usr/share/keyrings/cloud.google.asc \
    https://packages.cloud.google.com/apt/doc/apt-key.gpg
  # shellcheck disable=SC2016  # the inner shell expands it
  run sudo bash -c 'echo "deb [signed-by=/usr/share/keyrings/cloud.google.asc] https://packages.cloud.google.com/apt gcsfuse-$(lsb_release --codename --short) main" >/etc/apt/sources.list.d/gcsfuse.list'
  # A new machine is busy with its own updates for a while.
  run sudo apt-get -o DPkg::Lock::Timeout=600 --quiet update
  run sudo apt-get -o DPkg::Lock::Timeout=600 --quiet --yes install gcsfuse
fi
run sudo install --directory "--owner=$(id --user)" "$FOLDER"
# Nothing is remembered of files, because another worker may just have written them.
run gcsfuse --metadata-cache-ttl-secs=0 --metadata-cache-negative-ttl-secs=0 "$BUCKET" "$FOLDER"
