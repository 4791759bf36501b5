"""Two processes of four devices each: they train as one process with eight does, die together, and resume."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from llmrec_jax.training.columns import ColumnStore, write_columns
from llmrec_jax.training.metrics_log import read_json_lines
from llmrec_jax.training.parameter_restore import load_params
from tests.faults.many_hosts_run import MODEL
from tests.faults.resume_run import TRAINER, validate
from tests.training.small_model import examples

ROOT = pathlib.Path(__file__).parents[2]
STEPS = 60
# A sum over devices is made in another order between processes than within one.
TOLERANCE = 1e-5


def start(columns, workdir, processes, *flags):
    launcher = ['tpu_scripts/launch_local.sh', str(processes), f'--devices={8 // processes}', '--']
    module = [sys.executable, '-m', 'tests.faults.many_hosts_run', str(columns), str(workdir)]
    return subprocess.Popen(
        [*(launcher if processes > 1 else []), *module, f'--steps={STEPS}', *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(run):
    output, _ = run.communicate(timeout=500)
    assert run.returncode == 0, output


def kill_process(run, workdir, index, after):
    """Sends SIGKILL to one process of `run` once `after` steps are logged; returns what the run printed."""
    log = workdir / 'metrics.jsonl'
    while not log.exists() or log.read_bytes().count(b'\n') < after:
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.01)
    os.kill(int((workdir / f'pid.{index}').read_text()), signal.SIGKILL)
    return run.communicate(timeout=120)[0]


def assert_same_run(workdir, expected):
    rows, expected_rows = (read_json_lines(one / 'metrics.jsonl') for one in (workdir, expected))
    assert [row['step'] for row in rows] == list(range(1, STEPS + 1))
    for name in ('loss', 'grad_norm', 'accuracy', 'learning_rate'):
        np.testing.assert_allclose(
            [row[name] for row in rows], [row[name] for row in expected_rows], rtol=TOLERANCE, err_msg=name
        )
    params = (load_params(one / f'checkpoints/checkpoint_{STEPS}') for one in (workdir, expected))
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5), *params)


@pytest.fixture(scope='module')
def columns(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp('columns') / 'store', examples(), {}).directory


@pytest.fixture(scope='module')
def alone(columns, tmp_path_factory):
    """What this process, which has eight devices too, trains."""
    workdir = tmp_path_factory.mktemp('alone')
    trainer = dataclasses.replace(TRAINER, steps=STEPS)
    trainer.fit(MODEL, ColumnStore.open(columns), workdir, validate)
    return workdir


@pytest.mark.slow
def test_one_of_two_processes_dies_and_one_process_goes_on(columns, alone, tmp_path):
    run = start(columns, tmp_path, 2)
    said = kill_process(run, tmp_path, 1, after=25)
    assert run.returncode == 128 + signal.SIGKILL
    assert said.strip().splitlines()[-1] == (
        'launch_local.sh: process 1 of 2 was killed by signal 9 (KILL); the others were ended. '
        'Start the same command again, and the run goes on from its newest checkpoint.'
    )
    assert '[1] many_hosts_run: process 1 of 2 ended without finishing: it was killed' in said
    assert 'Traceback' not in said

    trained_by_two = read_json_lines(tmp_path / 'metrics.jsonl')
    finish(start(columns, tmp_path, 1))
    assert read_json_lines(tmp_path / 'metrics.jsonl')[:20] == trained_by_two[:20], 'begun anew'
    assert_same_run(tmp_path, alone)


@pytest.mark.slow
@pytest.mark.parametrize('model', [1, 2])
def test_two_processes_train_as_one_does_whatever_the_mesh(columns, alone, tmp_path, model):
    finish(start(columns, tmp_path, 2, f'--mesh_model={model}'))
    assert_same_run(tmp_path, alone)


@pytest.mark.slow
def test_the_death_of_process_0_ends_the_run_and_four_processes_resume(columns, alone, tmp_path):
    run = start(columns, tmp_path, 2)
    said = kill_process(run, tmp_path, 0, after=35)
    assert said.strip().splitlines()[-1].startswith('launch_local.sh: process 0 of 2 was killed by signal 9')
    finish(start(columns, tmp_path, 4))
    assert_same_run(tmp_path, alone)
