#!/usr/bin/env bash
# Runs one command as N processes of one run on this machine, each with M virtual CPU devices of its own.
#
#   tpu_scripts/launch_local.sh N [--devices M] -- python -m llmrec_jax.train --gin_file=... --gin.WORKDIR=...
#
# The command gets --coordinator_address, --process_count and --process_index added. Every line of its output is
# prefixed with the process's number. When one process dies, the others are ended too.
set -euo pipefail

GRACE_SECONDS=8

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

fail() {
  echo "launch_local.sh: $*" >&2
  exit 2
}

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)) || fail "bash 5.1 or newer is needed, not $BASH_VERSION"
count=${1:-}
[[ $count =~ ^[1-9][0-9]*$ ]] || usage
shift
devices=1
while [[ ${1:-} == --* && ${1:-} != -- ]]; do
  case $1 in
    --devices) devices=${2:-}; shift 2 || usage ;;
    --devices=*) devices=${1#*=}; shift ;;
    *) fail "unknown flag $1; the command comes after --" ;;
  esac
done
[[ $devices =~ ^[1-9][0-9]*$ ]] || fail "--devices $devices must be a number above 0"
[[ ${1:-} == -- && $# -gt 1 ]] || fail 'the command comes after --'
shift

# A port that nothing listens on now; below the range from which the system gives out ports by itself.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  fail 'found no free port'
}

port=$(free_port)
export JAX_PLATFORMS=cpu
export XLA_FLAGS="${XLA_FLAGS:-} --xla_force_host_platform_device_count=$devices"
# So that lines are seen when they are written, and not lost with a process.
export PYTHONUNBUFFERED=1

pids=()
end_all() {
  local pid
  for pid in "${pids[@]}"; do
    kill -KILL -- "-$pid" 2>/dev/null || true
  done
}
trap end_all EXIT
# Standard error itself may be closed to the shell's own remarks when the signal comes.
exec 3>&2
trap 'echo "launch_local.sh: interrupted; all processes were ended" >&3; exit 130' INT TERM

# Job control gives every process a group of its own, so that its children can be ended with it.
set -m
for ((index = 0; index < count; index++)); do
  "$@" "--coordinator_address=127.0.0.1:$port" "--process_count=$count" "--process_index=$index" \
    > >(exec sed -u "s/^/[$index] /") 2> >(exec sed -u "s/^/[$index] /" >&2) < /dev/null &
  pids+=($!)
done
set +m

describe() {
  if (($1 > 128)); then
    echo "was killed by signal $(($1 - 128)) ($(kill -l "$(($1 - 128))")); the others were ended." \
      'Start the same command again, and the run goes on from its newest checkpoint.'
  else
    echo "ended with status $1; the others were ended. See its message above."
  fi
}

for ((left = count; left > 0; left--)); do
  status=0
  # The shell's own remark on a killed job would only stand beside the message below.
  { wait -n -p ended "${pids[@]}" || status=$?; } 2>/dev/null
  for index in "${!pids[@]}"; do
    if [[ ${pids[$index]} == "$ended" ]]; then
      dead=$index
      unset "pids[$index]"
    fi
  done
  if ((status != 0)); then
    # One that ended with an error has told the others, and they say so; of one that was killed they know nothing.
    for ((tenth = 0; status < 128 && tenth < GRACE_SECONDS * 10; tenth++)); do
      kill -0 "${pids[@]}" 2>/dev/null || break
      sleep 0.1
    done
    end_all
    wait 2>/dev/null || true
    echo "launch_local.sh: process $dead of $count $(describe "$status")" >&2
    exit "$status"
  fi
done
