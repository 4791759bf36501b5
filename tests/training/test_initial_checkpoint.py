"""Fine-tuning starts from the parameters of a named checkpoint, with a fresh optimizer."""

import dataclasses
import json

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from llmrec_jax.training.checkpoint_layouts import CheckpointError
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


def test_new_parameters_are_drawn_by_the_seed_and_others_restored(columns, params, tmp_path, caplog):
    caplog.set_level('INFO', logger='llmrec_jax')
    known = {name: value for name, value in params.items() if name != 'position'}
    checkpoint = write_t5x(tmp_path / 'checkpoint_1000', known)
    trainer = dataclasses.replace(
        TRAINER, steps=1, initial_checkpoint=str(checkpoint), fresh_parameters=['position'], seed=3
    )
    found = load_params(trainer.fit(SmallModel(), columns, tmp_path / 'run').checkpoint)
    assert 'drawn anew: position' in caplog.text
    scratch = dataclasses.replace(TRAINER, steps=1, seed=3)
    drawn = load_params(scratch.fit(SmallModel(), columns, tmp_path / 'scratch').checkpoint)
    for name, value in found.items():
        np.testing.assert_array_equal(value, drawn[name] if name == 'position' else params[name])
        assert (value == drawn[name]).all() == (name in ('position', 'scale'))


def test_a_parameter_that_is_not_said_to_be_new_must_be_there(columns, params, tmp_path):
    known = {name: value for name, value in params.items() if name != 'position'}
    lacking = write_t5x(tmp_path / 'checkpoint_1000', known)
    whole = write_t5x(tmp_path / 'checkpoint_2000', params)

    def fit(checkpoint, fresh, **network):
        trainer = dataclasses.replace(TRAINER, initial_checkpoint=str(checkpoint), fresh_parameters=fresh)
        trainer.fit(SmallModel(**network), columns, tmp_path / 'run')

    absent = r'target/position has shape \(absent\) there .* name it in Trainer.fresh_parameters to draw it'
    for checkpoint, fresh, error, message in (
        (lacking, (), CheckpointError, absent),
        (
            lacking,
            ('wi',),
            CheckpointError,
            'has wi, which Trainer.fresh_parameters would draw',
        ),
        (
            whole,
            ('position',),
            CheckpointError,
            '2000 has position, which Trainer.fresh_parameters',
        ),
        (
            whole,
            ('positions',),
            ValueError,
            "names 'positions', but the network has no such",
        ),
        (whole, ('pos',), ValueError, "names 'pos', but"),
    ):
        with pytest.raises(error, match=message):
            fit(checkpoint, fresh)
    # Another shape stays one message, and no advice to draw it.
    with pytest.raises(CheckpointError, match=r'wi has shape \(16, 32\) there and \(16, 64\) here') as other:
        fit(lacking, ('position',), hidden=64)
    assert 'fresh_parameters' not in str(other.value)
