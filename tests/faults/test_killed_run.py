"""The smoke recipe through the launcher, killed and started again, against a run that nothing interrupted."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from llmrec_jax.training.parameter_restore import load_params

FLAGS = ('--gin_file=gin_configs/tiger/smoke.gin', '--gin.trainer.Trainer.length_buckets=()')


def start(workdir: pathlib.Path) -> subprocess.Popen:
    command = [sys.executable, '-m', 'llmrec_jax.run', *FLAGS, f'--gin.WORKDIR={workdir}']
    # One device, as a user's laptop has; the tests' own process has eight.
    environment = {name: value for name, value in os.environ.items() if name != 'XLA_FLAGS'}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def logged(workdir: pathlib.Path) -> list[dict]:
    path = workdir / 'metrics.jsonl'
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    unbroken, broken = tmp_path / 'unbroken', tmp_path / 'broken'
    assert start(unbroken).wait() == 0
    victim, target = start(broken), random.randint(30, 170)
    while len(logged(broken)) < target:
        assert victim.poll() is None, 'the run ended before it could be killed'
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert start(broken).wait() == 0

    expected, found = logged(unbroken), logged(broken)
    assert [row['step'] for row in found] == list(range(1, 201))
    assert [row['loss'] for row in found] == [row['loss'] for row in expected]
    one, other = (load_params(path / 'checkpoints' / 'checkpoint_200') for path in (unbroken, broken))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    results = [
        json.loads((path / 'results.json').read_text())['test']['tiger'] for path in (unbroken, broken)
    ]
    assert results[0]['recall@10'] == results[1]['recall@10']
