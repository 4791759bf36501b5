"""Who asks a run before it is trained is told what it waits for."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from llmrec_jax.ownership.lock import in_folder
from llmrec_jax.ownership.owner import Owner
from llmrec_jax.runs.record import StageRecord, facts_of, record_path
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.trained import trained_checkpoint


@pytest.fixture
def worker(tmp_path):
    """A living process that holds the workdir."""
    child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)
    owner = Owner.this_process('llmrec_jax.run')
    started = pathlib.Path(f'/proc/{child.pid}/stat').read_text().rpartition(')')[2].split()[19]
    content = {**json.loads(owner.content()), 'pid': child.pid, 'started': started}
    in_folder(tmp_path).write_text(json.dumps(content))
    yield child
    child.communicate(b'\n')


def told(run):
    with pytest.raises(FileNotFoundError) as raised:
        trained_checkpoint(run)
    assert str(run.root) in str(raised.value)
    return str(raised.value)


def save(root, step):
    (root / 'checkpoints' / f'checkpoint_{step}').mkdir(parents=True)


def test_while_it_trains_the_process_and_the_newest_checkpoint_are_named(tmp_path, worker):
    run = Run(tmp_path)
    said = told(run)
    assert f'llmrec_jax.run, process {worker.pid}' in said and '--checkpoint' not in said
    with pytest.raises(FileNotFoundError, match=f'process {worker.pid}'):
        run[facts_of('corpus')]
    save(tmp_path, 100)
    save(tmp_path, 1000)
    assert f'--checkpoint={tmp_path}/checkpoints/checkpoint_1000' in told(run)


def test_where_nothing_trains_the_command_is_named(tmp_path):
    assert 'python -m llmrec_jax.run' in told(Run(tmp_path))
    # Its own work is nothing to wait for.
    in_folder(tmp_path).write_bytes(Owner.this_process('llmrec_jax.evaluate').content())
    assert 'python -m llmrec_jax.run' in told(Run(tmp_path)) and str(os.getpid()) not in told(Run(tmp_path))


def test_the_best_checkpoint_is_taken(tmp_path):
    facts = {'best_checkpoint': 'checkpoints/checkpoint_3', 'checkpoint': 'checkpoints/checkpoint_4'}
    record = StageRecord('train', '', {}, 1.0, 1.0, facts)
    record_path(tmp_path, 'train').parent.mkdir()
    record_path(tmp_path, 'train').write_text(json.dumps(vars(record)))
    assert trained_checkpoint(Run(tmp_path)) == 'checkpoints/checkpoint_3'
