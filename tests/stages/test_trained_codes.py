"""A checkpoint of another code table of equal shapes is refused, and one that says nothing is taken."""

import logging

import jax
import numpy as np
import pytest

from llmrec_jax.runs.run import Run
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.stages import trained_codes
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.stages.semantic_ids import CODE_TABLE
from llmrec_jax.training.checkpoint_layouts import CheckpointError
from llmrec_jax.training.trainer import CHECKPOINTS
from tests.recipes import load

SIZES = (3, 2)
HERE = CodeTable(np.array([[0, 0], [0, 1], [1, 0]], np.int32), SIZES)
OTHER = CodeTable(HERE.codes[::-1].copy(), SIZES)


@pytest.fixture(scope='module', params=['tiger', 'generative_sequential'])
def train(request):
    system = load(f'gin_configs/{request.param}/smoke.gin')
    return next(stage for stage in system.stages() if stage.name == 'train')


@pytest.fixture
def runs(tmp_path):
    """One of each table."""
    found = [Run(tmp_path / name) for name in ('here', 'other')]
    for run, table in zip(found, (HERE, OTHER), strict=True):
        run.put(CODE_TABLE, table)
    return found


@pytest.fixture
def checkpoint(train, runs):
    """Of `HERE`."""
    folder = runs[0].root / CHECKPOINTS / 'checkpoint_3'
    folder.parent.mkdir()
    train.note_codes(runs[0])
    folder.mkdir()
    return folder


@pytest.mark.parametrize('asked', ['restore', 'check'])
def test_a_checkpoint_answers_for_its_own_codes_alone(train, runs, checkpoint, monkeypatch, asked):
    # Shapes are equal, and reading them is not what is asked about.
    monkeypatch.setattr(Parameters, '_read', lambda self, where, run: {})
    monkeypatch.setattr('llmrec_jax.stages.networks.check_params', lambda where, abstract, fresh: None)
    monkeypatch.setattr(Parameters, 'abstract', lambda self, run: jax.ShapeDtypeStruct((), np.float32))
    monkeypatch.setattr(Run, 'has', lambda self, artifact: True)
    parameters = Parameters(train.network, train.trainer, str(checkpoint))
    getattr(parameters, asked)(runs[0])
    with pytest.raises(CheckpointError) as refused:
        getattr(parameters, asked)(runs[1])
    for table in (HERE, OTHER):
        assert table.fingerprint[:12] in str(refused.value)


def test_training_does_not_go_on_with_other_codes(train, runs, checkpoint):
    train.note_codes(runs[0])
    runs[0].put(CODE_TABLE, OTHER)
    with pytest.raises(CheckpointError, match='use another workdir'):
        train.note_codes(runs[0])
    # Where nothing is trained yet, the codes are those of the next training.
    checkpoint.rmdir()
    train.note_codes(runs[0])
    trained_codes.check(checkpoint, OTHER, '')


def test_a_checkpoint_that_says_nothing_is_taken_and_told(checkpoint, caplog):
    (checkpoint.parent / trained_codes.RECORD).unlink()
    with caplog.at_level(logging.WARNING):
        trained_codes.check(checkpoint, OTHER, '')
    assert 'does not say which item codes' in caplog.text
