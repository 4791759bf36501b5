# shellcheck shell=bash
# How a Compute Engine machine with GPUs is created, asked, reached and deleted. Sourced by commands.sh.

PLACE=("--project=$PROJECT" "--zone=$ZONE")

create_machine() {
  require_settings MACHINE_TYPE IMAGE_FAMILY IMAGE_PROJECT SERVICE_ACCOUNT NETWORK SUBNETWORK
  local options=(--maintenance-policy=TERMINATE)
  case $PROVISIONING in
    on-demand) ;;
    spot) options+=(--provisioning-model=SPOT --instance-termination-action=STOP) ;;
    *) fail "PROVISIONING in $SETTINGS is '$PROVISIONING'; a GPU machine's may be on-demand or spot" ;;
  esac
  run gcloud compute instances create "$NAME" "${PLACE[@]}" "--machine-type=$MACHINE_TYPE" \
    "--image-family=$IMAGE_FAMILY" "--image-project=$IMAGE_PROJECT" --boot-disk-size=200GB \
    "--network=$NETWORK" "--subnet=$SUBNETWORK" "--service-account=$SERVICE_ACCOUNT" \
    --scopes=https://www.googleapis.com/auth/cloud-platform "${options[@]}"
}

delete_machine() {
  run gcloud compute instances delete "$NAME" "${PLACE[@]}" "$@"
}

# A preempted machine keeps its disk, so that it need only be started.
replace_machine() {
  run gcloud compute instances start "$NAME" "${PLACE[@]}"
}

# Prints absent, waiting, ready, preempted, stopped (by somebody), or unknown where gcloud did not say.
machine_state() {
  local state
  state=$(ask_gcloud compute instances describe "$NAME" "${PLACE[@]}" '--format=value(status)')
  case $state in
    absent | unknown) echo "$state" ;;
    RUNNING) echo ready ;;
    TERMINATED)
      case $(ask_gcloud compute operations list "${LAST_OPERATION[@]}") in
        compute.instances.preempted) echo preempted ;;
        unknown) echo unknown ;;
        *) echo stopped ;;
      esac
      ;;
    SUSPENDING | SUSPENDED) echo stopped ;;
    *) echo waiting ;;
  esac
}

# Only the machine's newest operation tells a preemption from a stop that somebody asked for.
LAST_OPERATION=("--project=$PROJECT" "--zones=$ZONE" "--filter=targetLink~\"/instances/$NAME\$\""
  --sort-by=~insertTime --limit=1 '--format=value(operationType)')

# The commands that machine_state runs.
print_state_commands() {
  run gcloud compute instances describe "$NAME" "${PLACE[@]}" '--format=value(status)'
  run gcloud compute operations list "${LAST_OPERATION[@]}"
}

# Runs a shell command on the machine, which is worker 0 and all of them.
on_workers() {
  [[ $1 == all || $1 == 0 ]] || fail "a GPU machine has no worker $1"
  run gcloud compute ssh "$NAME" "${PLACE[@]}" "$KEEP_ALIVE" "--command=$2"
}

copy_to_workers() {
  run gcloud compute scp "$1" "$NAME:" "${PLACE[@]}"
}

copy_from_worker() {
  run gcloud compute scp "$NAME:$1" "$2" "${PLACE[@]}" --recurse
}
