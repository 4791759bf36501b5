#!/usr/bin/env bash
# Installs the library in ~/llmrec_venv of the machine it runs on; setup.sh calls it on every worker.
#
#     tpu_scripts/worker_install.sh tpu|gpu [--t5x] [--dry-run]
#
# uv brings Python 3.11, which the TPU images do not have, and installs in a fifth of pip's time.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/commands.sh"

parse_flags "$@"
EXTRAS=()
CHECKS=()
for argument in "${ARGUMENTS[@]}"; do
  case $argument in
    tpu | gpu | --t5x)
      EXTRAS+=("${argument#--}")
      CHECKS+=("--${argument#--}")
      ;;
    *) fail "unknown argument $argument; see --help" ;;
  esac
done
[[ " ${EXTRAS[*]} " =~ \ (tpu|gpu)\  ]] || fail 'say for which device: tpu or gpu'

PYTHON=$HOME/llmrec_venv/bin/python
UV=$HOME/.local/bin/uv
cd "$(dirname "$SCRIPTS")"

# Newer system Pythons refuse to install for the user unless told; uv is all that goes there.
run env PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --user uv==0.13.8
run "$UV" venv --quiet --allow-existing --python=3.11 "$HOME/llmrec_venv"
run "$UV" pip install --quiet "--python=$PYTHON" --compile-bytecode --constraint constraints.txt \
  --editable ".[$(IFS=,; echo "${EXTRAS[*]}")]"
if [[ " ${EXTRAS[*]} " == *' t5x '* ]]; then
  run "$UV" pip install --quiet "--python=$PYTHON" --compile-bytecode --no-deps --requirement t5x_requirements.txt
fi
run "$PYTHON" -m llmrec_jax.check_install "${CHECKS[@]}"
