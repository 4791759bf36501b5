"""Two hosts that were started differently are told so before any work."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
OTHER_SEED = """
case "$*" in *--process_index=1*) set -- "$@" --gin.trainer.Trainer.seed=7 ;; esac
exec "$@"
"""


@pytest.mark.smoke
def test_hosts_with_other_gin_bindings_are_named_with_the_first_difference(tmp_path):
    workdir = tmp_path / 'run'
    launcher = ['tpu_scripts/launch_local.sh', '2', '--', 'bash', '-c', OTHER_SEED, 'bash']
    command = [sys.executable, '-m', 'llmrec_jax.train', '--gin_file=gin_configs/tiger/smoke.gin']
    found = subprocess.run(
        [*launcher, *command, f'--gin.WORKDIR={workdir}'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert found.returncode == 2
    expected = (
        "process 1 started otherwise than process 0: 'TRAINER/trainer.Trainer.seed = %RANDOM_SEED' there is "
        "'TRAINER/trainer.Trainer.seed = 7' here; give every host the same gin files, flags and code"
    )
    for index in (0, 1):
        said = [line for line in found.stderr.splitlines() if line.startswith(f'[{index}] ')]
        assert said == [f'[{index}] train.py (process {index} of 2): {expected}'], found.stderr
    assert 'ended with status 2; the others were ended. See its message above.' in found.stderr
    assert not workdir.exists()
