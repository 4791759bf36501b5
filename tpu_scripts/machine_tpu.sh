# shellcheck shell=bash
# How a Cloud TPU slice is created, asked, reached and deleted. Sourced by commands.sh; machine_gpu.sh is its counterpart.

PLACE=("--project=$PROJECT" "--zone=$ZONE")

# The system image that Google names for JAX on each generation.
runtime_version() {
  if [[ -n ${RUNTIME_VERSION:-} ]]; then
    echo "$RUNTIME_VERSION"
    return
  fi
  case $ACCELERATOR_TYPE in
    v6e-*) echo v2-alpha-tpuv6e ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v2-* | v3-* | v4-*) echo tpu-ubuntu2204-base ;;
    *) fail "no system image is known for ACCELERATOR_TYPE=$ACCELERATOR_TYPE; set RUNTIME_VERSION in $SETTINGS" ;;
  esac
}

is_queued() {
  case $PROVISIONING in
    on-demand | spot) return 1 ;;
    queued | queued-spot) return 0 ;;
    *) fail "PROVISIONING in $SETTINGS is '$PROVISIONING'; a TPU's may be on-demand, spot, queued or queued-spot" ;;
  esac
}

create_machine() {
  require_settings ACCELERATOR_TYPE SERVICE_ACCOUNT NETWORK SUBNETWORK
  local version options
  version=$(runtime_version)
  options=("${PLACE[@]}" "--accelerator-type=$ACCELERATOR_TYPE" "--network=$NETWORK" "--subnetwork=$SUBNETWORK"
    "--service-account=$SERVICE_ACCOUNT" --scopes=https://www.googleapis.com/auth/cloud-platform)
  if [[ $PROVISIONING == *spot ]]; then options+=(--spot); fi
  if is_queued; then
    run gcloud compute tpus queued-resources create "$NAME" "--node-id=$NAME" "--runtime-version=$version" "${options[@]}"
  else
    run gcloud compute tpus tpu-vm create "$NAME" "--version=$version" "${options[@]}"
  fi
}

# Deletes the TPU and its place in the queue; further arguments go to gcloud.
delete_machine() {
  if is_queued; then
    run gcloud compute tpus queued-resources delete "$NAME" "${PLACE[@]}" --force "$@"
  else
    run gcloud compute tpus tpu-vm delete "$NAME" "${PLACE[@]}" "$@"
  fi
}

# Gives back to the service what is left of a TPU that it has taken away, and asks for another.
replace_machine() {
  delete_machine --quiet && create_machine
}

# Prints absent, waiting, ready, preempted, stopped (by somebody), failed, or unknown where gcloud did not say.
machine_state() {
  local state
  if is_queued; then
    state=$(ask_gcloud compute tpus queued-resources describe "$NAME" "${PLACE[@]}" '--format=value(state.state,state.stateInitiator)')
    case $state in
      absent | unknown) echo "$state" && return ;;
      ACTIVE*) ;;
      SUSPENDED*USER*) echo stopped && return ;;
      SUSPENDED*) echo preempted && return ;;
      FAILED*) echo failed && return ;;
      *) echo waiting && return ;;
    esac
  fi
  state=$(ask_gcloud compute tpus tpu-vm describe "$NAME" "${PLACE[@]}" '--format=value(state)')
  case $state in
    absent | unknown) echo "$state" ;;
    READY) echo ready ;;
    PREEMPTED | TERMINATED) echo preempted ;;
    STOPPING | STOPPED | DELETING | HIDING | HIDDEN) echo stopped ;;
    *) echo waiting ;;
  esac
}

# The commands that machine_state runs.
print_state_commands() {
  if is_queued; then
    run gcloud compute tpus queued-resources describe "$NAME" "${PLACE[@]}" '--format=value(state.state,state.stateInitiator)'
  fi
  run gcloud compute tpus tpu-vm describe "$NAME" "${PLACE[@]}" '--format=value(state)'
}

# Runs a shell command on the workers in $1: a number, or all.
on_workers() {
  run gcloud compute tpus tpu-vm ssh "$NAME" "${PLACE[@]}" "--worker=$1" "$KEEP_ALIVE" "--command=$2"
}

copy_to_workers() {
  run gcloud compute tpus tpu-vm scp "$1" "$NAME:" "${PLACE[@]}" --worker=all
}

copy_from_worker() {
  run gcloud compute tpus tpu-vm scp "$NAME:$1" "$2" "${PLACE[@]}" --worker=0 --recurse
}
