#!/usr/bin/env bash
# Keeps a run going until it is finished: sets the machine up, starts the command, and does both again on another
# machine when this one is preempted. The command must go on from its own checkpoints, as the library's launchers do.
#
#     tpu_scripts/watch.sh [--t5x] [--failures=N] [--every=SECONDS] [--dry-run] [--settings=FILE] -- COMMAND
#
# It waits for a machine that create.sh asked for, never creates a first one, and deletes only what the service has
# already taken away, or a request that it has turned down; a machine that runs is delete.sh's. It ends with 0 when
# every worker has finished, and with 1 after N failures of the run or of a step here (3 unless said otherwise; a
# preemption is none), when somebody else stopped or deleted the machine, or when gcloud gave no answer 20 times in a
# row. It looks every 60 seconds unless said otherwise.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
SETUP_FLAGS=()
MAX_FAILURES=3
EVERY=60
for argument in "${ARGUMENTS[@]}"; do
  case $argument in
    --t5x) SETUP_FLAGS=(--t5x) ;;
    --failures=*) MAX_FAILURES=${argument#*=} ;;
    --every=*) EVERY=${argument#*=} ;;
    *) fail "unknown argument $argument; see --help" ;;
  esac
done
[[ $MAX_FAILURES =~ ^[1-9][0-9]*$ ]] || fail "--failures=$MAX_FAILURES is no positive number"
[[ $EVERY =~ ^[0-9]+$ ]] || fail "--every=$EVERY is no number of seconds"
require_command
load_settings

MAX_UNANSWERED=20
failures=0
unanswered=0

say() { echo "$(date +%H:%M:%S) $1"; }

give_up() {
  say "$1; giving up"
  if [[ ${2:-} != gone ]]; then say "$NAME may still cost money: tpu_scripts/delete.sh deletes it"; fi
  exit 1
}

count_failure() {
  failures=$((failures + 1))
  say "failure $failures of $MAX_FAILURES: $1"
  if ((failures >= MAX_FAILURES)); then give_up 'too many failures'; fi
}

count_unanswered() {
  unanswered=$((unanswered + 1))
  say "$1 ($unanswered of $MAX_UNANSWERED)"
  if ((unanswered >= MAX_UNANSWERED)); then give_up 'no answer for too long'; fi
}

# The run over all workers: none, running, finished, failed, or unknown. A failed worker decides, because the others
# wait for it in their next collective; workers that lack a run beside ones that have one have failed to start it.
run_state() {
  local answer states
  answer=$(ask_run_states) || { echo unknown && return; }
  states=$(sed -n 's/^llmrec-run: [^ ]* \([a-z]*\).*/\1/p' <<<"$answer" | sort -u | tr '\n' ' ')
  case $states in
    *failed* | *died*) echo failed ;;
    'finished ' | 'running ' | 'none ') echo "${states% }" ;;
    'finished running ') echo running ;;
    '') echo unknown ;;
    *) echo failed ;;
  esac
}

launch() {
  say 'starting the run'
  if ! run_script launch.sh -- "${COMMAND[@]}"; then count_failure 'launch.sh'; fi
}

set_up_and_launch() {
  say "setting $NAME up"
  if run_script setup.sh "${SETUP_FLAGS[@]}"; then launch; else count_failure 'setup.sh'; fi
}

replace() {
  replacing=true
  replace_machine || count_failure 'asking for another machine'
}

if $DRY_RUN; then
  echo "# every $EVERY seconds, in what state the machine and the run are:"
  print_state_commands
  ask_run_states
  echo '# on a machine that is ready and has no run yet:'
  run_script setup.sh "${SETUP_FLAGS[@]}"
  run_script launch.sh -- "${COMMAND[@]}"
  echo "# after a failure of the run, at most $((MAX_FAILURES - 1)) times:"
  run_script stop.sh
  run_script launch.sh -- "${COMMAND[@]}"
  echo '# after a preemption, and then as on any machine that has no run yet:'
  replace_machine
  exit
fi

seen=false
# Whether a machine that is missing is missing because this script gave it back and was then refused another.
replacing=false
while true; do
  state=$(machine_state)
  if [[ $state == ready ]]; then
    run=$(run_state)
    if [[ $run == unknown ]]; then state=unknown; fi
  fi
  if [[ $state != unknown ]]; then unanswered=0; fi
  case $state in
    waiting) say "$NAME is not ready yet" ;;
    unknown) count_unanswered 'gcloud gave no answer' ;;
    absent)
      if $replacing; then
        create_machine || count_failure 'asking for another machine'
      elif $seen; then
        give_up "$NAME is gone, and not by preemption: somebody deleted it" gone
      else
        give_up "there is no $NAME; ask for one with tpu_scripts/create.sh" gone
      fi
      ;;
    stopped) give_up "somebody stopped $NAME" ;;
    preempted)
      say "$NAME was preempted; asking for another"
      replace
      ;;
    failed)
      count_failure "the request for $NAME was turned down"
      replace
      ;;
    ready)
      replacing=false
      case $run in
        finished)
          say 'finished on every worker'
          say "$NAME still costs money: tpu_scripts/delete.sh deletes it"
          exit 0
          ;;
        none) set_up_and_launch ;;
        failed)
          count_failure 'the run failed; tpu_scripts/logs.sh --worker=all shows why'
          run_script stop.sh || count_failure 'stop.sh'
          launch
          ;;
        running) say 'running' ;;
      esac
      ;;
  esac
  if [[ $state != unknown ]]; then seen=true; fi
  sleep "$EVERY"
done
