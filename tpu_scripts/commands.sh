# shellcheck shell=bash
# What the scripts of this folder share: their flags, the settings, the dry run, and quoting. Source it first.

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  echo "$0: bash 4.4 or newer is needed, this is $BASH_VERSION (on a Mac: brew install bash)" >&2
  exit 2
fi

SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DRY_RUN=false
SETTINGS=$SCRIPTS/settings.sh
# Without it ssh waits for ever for a machine that has vanished.
# shellcheck disable=SC2034  # the machine_*.sh use it
KEEP_ALIVE=--ssh-flag=-oServerAliveInterval=30
# shellcheck disable=SC2016  # $HOME is the worker's
WORKER_RUN='"$HOME"/llmrec_jax/tpu_scripts/worker_run.sh'
ARGUMENTS=()  # what parse_flags leaves: the script's own flags
COMMAND=()    # what followed `--`

fail() {
  echo "${0##*/}: $1" >&2
  exit 2
}

# The comment at the head of the script is its help.
print_help() {
  sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$0"
}

parse_flags() {
  while (($#)); do
    case $1 in
      --dry-run) DRY_RUN=true ;;
      --settings=*) SETTINGS=${1#*=} ;;
      --help)
        print_help
        exit 0
        ;;
      --)
        shift
        COMMAND=("$@")
        return
        ;;
      *) ARGUMENTS+=("$1") ;;
    esac
    shift
  done
}

no_more_arguments() {
  ((${#ARGUMENTS[@]} == 0)) || fail "unknown argument ${ARGUMENTS[0]}; see --help"
}

require_command() {
  ((${#COMMAND[@]})) || fail "say after -- what to run, e.g. -- python -m llmrec_jax.run --gin_file=… --distributed"
}

# Reads the settings, and the functions of the kind of machine that they name.
load_settings() {
  [[ -f $SETTINGS ]] ||
    fail "no settings file $SETTINGS; copy $SCRIPTS/settings.example.sh to it and fill it in, or name another with --settings="
  unset MACHINE PROJECT ZONE NAME SERVICE_ACCOUNT BUCKET NETWORK SUBNETWORK PROVISIONING ACCELERATOR_TYPE \
    RUNTIME_VERSION MACHINE_TYPE IMAGE_FAMILY IMAGE_PROJECT
  # shellcheck source=settings.example.sh
  source "$SETTINGS"
  require_settings MACHINE
  case $MACHINE in
    tpu | gpu) ;;
    *) fail "MACHINE in $SETTINGS is '$MACHINE'; it may be tpu or gpu" ;;
  esac
  # shellcheck source=/dev/null
  source "$SCRIPTS/machine_$MACHINE.sh"
  require_settings PROJECT ZONE NAME PROVISIONING
  [[ ${BUCKET:-} != *[:/]* ]] || fail "BUCKET in $SETTINGS is '$BUCKET'; write the bucket's bare name"
}

require_settings() {
  local name
  for name in "$@"; do
    [[ -n ${!name:-} ]] || fail "$name is not set in $SETTINGS; settings.example.sh says what it is"
  done
}

# The words as a shell reads them back, those without special characters as they are.
quote_words() {
  local word quoted=()
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then quoted+=("$word"); else quoted+=("${word@Q}"); fi
  done
  echo "${quoted[*]}"
}

# Runs a command, or prints it where this is a dry run.
run() {
  if $DRY_RUN; then quote_words "$@"; else "$@"; fi
}

# Runs another script of this folder on the same settings.
run_script() {
  local script=$1 flags=("--settings=$SETTINGS")
  shift
  if $DRY_RUN; then flags+=(--dry-run); fi
  "$SCRIPTS/$script" "${flags[@]}" "$@"
}

# gcloud's answer, or absent where it says that there is no such thing, or unknown where it fails otherwise. What it says
# beside its answer, of updates and the like, is no part of it.
ask_gcloud() {
  local answer errors
  errors=$(mktemp)
  if answer=$(gcloud "$@" 2>"$errors"); then
    echo "$answer"
  elif grep --quiet -e NOT_FOUND -e 'was not found' "$errors"; then
    echo absent
  else
    cat "$errors" >&2
    echo unknown
  fi
  rm -f "$errors"
}

# Asks worker_run.sh something on the workers in $1; setup.sh has put it in their home folders.
on_workers_run() {
  local workers=$1
  shift
  on_workers "$workers" "bash $WORKER_RUN $(quote_words "$@")"
}

# The state of the run on every worker, in worker_run.sh's words, of those too that have not been set up.
ask_run_states() {
  on_workers all "if [ -f $WORKER_RUN ]; then bash $WORKER_RUN state; else echo \"llmrec-run: \$(hostname) none\"; fi"
}
