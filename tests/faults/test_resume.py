"""`kill -9` at a random step and restart: nothing in the outcome shows it."""

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

from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.metrics_log import read_json_lines
from llmrec_jax.training.parameter_restore import load_params
from tests.faults.resume_run import TRAINER
from tests.training.small_model import examples

ROOT = pathlib.Path(__file__).parents[2]


def start(columns, workdir):
    environment = {**os.environ, 'XLA_FLAGS': ''}
    command = [sys.executable, '-m', 'tests.faults.resume_run', columns, workdir]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def logged_steps(workdir):
    path = workdir / 'metrics.jsonl'
    return path.read_bytes().count(b'\n') if path.exists() else 0


def kill_after(process, workdir, step):
    while logged_steps(workdir) < step:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope='module')
def columns(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp('columns') / 'store', examples(), {}, 3).directory


@pytest.fixture(scope='module')
def unbroken(columns, tmp_path_factory):
    workdir = tmp_path_factory.mktemp('unbroken')
    finish(start(columns, workdir))
    return workdir


def checkpoint_steps(workdir):
    return sorted(int(path.name.split('_')[1]) for path in (workdir / 'checkpoints').iterdir())


@pytest.mark.smoke
def test_a_run_killed_twice_equals_one_that_was_not(columns, unbroken, tmp_path):
    seed = random.randrange(10**6)
    first, second = sorted(random.Random(seed).sample(range(1, TRAINER.steps - 10), 2))
    for step in (first, second):
        kill_after(start(columns, tmp_path), tmp_path, step)
    finish(start(columns, tmp_path))

    said = f'killed after steps {first} and {second}'
    rows, expected = (read_json_lines(workdir / 'metrics.jsonl') for workdir in (tmp_path, unbroken))
    assert [row['step'] for row in rows] == list(range(1, TRAINER.steps + 1)), said
    for name in ('loss', 'accuracy', 'grad_norm', 'learning_rate'):
        assert [row[name] for row in rows] == [row[name] for row in expected], said
    assert (tmp_path / 'validation.jsonl').read_text() == (unbroken / 'validation.jsonl').read_text(), said
    assert checkpoint_steps(tmp_path) == checkpoint_steps(unbroken), said
    for step in checkpoint_steps(unbroken):
        name = f'checkpoints/checkpoint_{step}'
        jax.tree.map(
            np.testing.assert_array_equal, load_params(tmp_path / name), load_params(unbroken / name)
        )
