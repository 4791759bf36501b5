#!/usr/bin/env bash
# Starts, inspects and stops the one run of the machine it runs on; launch.sh and its neighbours call it on every worker.
#
#     tpu_scripts/worker_run.sh start COMMAND…   runs it in the background, in a session of its own
#     tpu_scripts/worker_run.sh state            prints 'llmrec-run: HOST STATE', STATE being running, finished,
#         failed CODE, died (killed, without a code), or none since the machine was started
#     tpu_scripts/worker_run.sh log LINES [--follow]
#     tpu_scripts/worker_run.sh stop             ends it and what it started
set -euo pipefail

RUN=$HOME/llmrec_run
VENV=$HOME/llmrec_venv

fail() {
  echo "worker_run.sh on $(hostname): $1" >&2
  exit 2
}

# A number of a process may be given again after a reboot, so the boot is kept beside it.
boot() { cat /proc/sys/kernel/random/boot_id; }

is_running() {
  [[ -f $RUN/process ]] && [[ $(<"$RUN/boot") == "$(boot)" ]] && kill -0 "$(<"$RUN/process")" 2>/dev/null
}

start() {
  (($#)) || fail 'no command given'
  if is_running; then fail "a run is going on already (process $(<"$RUN/process")); stop it with tpu_scripts/stop.sh"; fi
  mkdir -p "$RUN"
  rm -f "$RUN/exit_code" "$RUN/process"
  echo "--- $(date --iso-8601=seconds) $*" >>"$RUN/log"
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  if [[ -d $VENV ]]; then export VIRTUAL_ENV=$VENV PATH=$VENV/bin:$PATH; fi
  # Else what is printed comes into the log by the block.
  export PYTHONUNBUFFERED=1
  # A session of its own is not hung up with the connection, and is a group that `stop` can end as one.
  # shellcheck disable=SC2016  # the inner shell expands them
  setsid nohup bash -c 'code=0; "${@:2}" || code=$?; echo "$code" >"$1/exit_code.new"; mv "$1/exit_code.new" "$1/exit_code"' \
    worker_run "$RUN" "$@" </dev/null >>"$RUN/log" 2>&1 &
  boot >"$RUN/boot"
  echo $! >"$RUN/process"
}

state() {
  local state=died
  if is_running; then
    state=running
  elif [[ -f $RUN/exit_code ]]; then
    state="failed $(<"$RUN/exit_code")"
    if [[ $state == 'failed 0' ]]; then state=finished; fi
  elif [[ ! -f $RUN/process || $(<"$RUN/boot") != "$(boot)" ]]; then
    state=none
  fi
  echo "llmrec-run: $(hostname) $state"
}

log() {
  [[ -f $RUN/log ]] || fail 'nothing has run here yet'
  tail "--lines=$1" "${@:2}" "$RUN/log"
}

stop() {
  if ! is_running; then return; fi
  local process
  process=$(<"$RUN/process")
  kill -TERM -- "-$process"
  for _ in {1..60}; do
    if ! kill -0 "$process" 2>/dev/null; then return; fi
    sleep 0.5
  done
  kill -KILL -- "-$process"
}

case ${1:-} in
  start | state | log | stop) "$@" ;;
  *) fail "say start, state, log or stop, not '${1:-}'" ;;
esac
