"""Fine-tuning starts from the parameters of a named checkpoint, with a fresh optimizer."""

import dataclasses
import json

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from llmrec_jax.training.checkpoint_errors import CheckpointError
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer
from tests.training.small_model import SmallModel, examples
from tests.training.t5x_files import write_t5x

TRAINER = Trainer(
    steps=2,
    feature_lengths={'inputs': 12, 'targets': 2},
    optimizer=AdamW(Constant(0.0)),
    batch_size=16,
    mesh=MeshShape(data=4, model=2),
)


@pytest.fixture(scope='module')
def columns(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp('columns') / 'store', examples(), {})


@pytest.fixture(scope='module')
def params():
    shapes = {'inputs': (1, 12), 'targets': (1, 2)}
    return jax.device_get(SmallModel().get_initial_variables(jax.random.key(5), shapes)['params'])


def test_training_starts_from_the_checkpoint_and_goes_on_from_its_own(columns, params, tmp_path, caplog):
    caplog.set_level('INFO', logger='llmrec_jax')
    checkpoint = write_t5x(tmp_path / 'checkpoint_1000', params)
    trainer = dataclasses.replace(TRAINER, initial_checkpoint=str(checkpoint))
    result = trainer.fit(SmallModel(), columns, tmp_path / 'run')
    assert (result.first_step, result.final_step) == (0, 2)
    assert f'parameters come from {checkpoint}\n' in caplog.text
    assert 'the optimizer starts anew' in caplog.text
    # The learning rate is zero, so what training ends with is what it began with.
    jax.tree.map(np.testing.assert_array_equal, load_params(result.checkpoint), params)
    state = ocp.PyTreeCheckpointer().restore(result.checkpoint / 'state')['state']
    assert state['step'] == 2 and jax.tree.leaves(state['param_states'])[0] == 2
    recorded = json.loads((tmp_path / 'run' / 'training_input.json').read_text())
    assert recorded['initial_checkpoint'] == str(checkpoint)

    longer = dataclasses.replace(trainer, steps=3).fit(SmallModel(), columns, tmp_path / 'run')
    assert longer.first_step == 2
    assert f"parameters and the optimizer's state come from {result.checkpoint}" in caplog.text
    with pytest.raises(ValueError, match='holds a run with initial_checkpoint='):
        dataclasses.replace(TRAINER, steps=4).fit(SmallModel(), columns, tmp_path / 'run')


def test_a_checkpoint_of_another_model_is_refused_before_anything_is_compiled(columns, params, tmp_path):
    checkpoint = write_t5x(tmp_path / 'checkpoint_1000', params)
    trainer = dataclasses.replace(TRAINER, initial_checkpoint=str(checkpoint))
    with pytest.raises(CheckpointError, match=r'target/wi has shape \(16, 32\) there and \(16, 64\) here'):
        trainer.fit(SmallModel(hidden=64), columns, tmp_path / 'run')
    absent = dataclasses.replace(TRAINER, initial_checkpoint=str(tmp_path / 'checkpoint_2'))
    with pytest.raises(CheckpointError, match='checkpoint_2: no such checkpoint'):
        absent.fit(SmallModel(), columns, tmp_path / 'run')
    assert not list((tmp_path / 'run' / 'checkpoints').iterdir())
