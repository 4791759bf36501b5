"""Training of some parameters beside a base: what moves, what is saved, and where the rest comes from."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.training.base_checkpoints import open_whole
from llmrec_jax.training.checkpoint_layouts import CheckpointError
from llmrec_jax.training.checkpoints import Checkpoints
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.early_stopping import BestMetric
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.parameter_restore import load_params, restore_params
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.train_state import TrainState
from llmrec_jax.training.trainer import Trainer
from tests.training.small_model import SmallModel, examples

TRAINED = {'position', 'wi'}


def save(directory, params):
    checkpoints = Checkpoints(directory, keep=1)
    checkpoints.save(0, TrainState(np.int32(0), params, ()))
    checkpoints.close()
    return directory / 'checkpoint_0'


@pytest.fixture(scope='module')
def params():
    shapes = {'inputs': (1, 12), 'targets': (1, 2)}
    return jax.device_get(SmallModel().get_initial_variables(jax.random.key(5), shapes)['params'])


@pytest.fixture(scope='module')
def base(tmp_path_factory, params):
    """Lacks one of the parameters that are trained, as a language model lacks adapters."""
    known = {name: value for name, value in params.items() if name != 'position'}
    return save(tmp_path_factory.mktemp('base'), known)


@pytest.fixture(scope='module')
def columns(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp('columns') / 'store', examples(64), {})


@pytest.fixture
def trainer(base):
    return Trainer(
        steps=3,
        feature_lengths={'inputs': 12, 'targets': 2},
        optimizer=AdamW(Constant(1e-2), weight_decay=0.1),
        batch_size=16,
        mesh=MeshShape(data=1),
        checkpoint_every=2,
        best_metric=BestMetric('loss', 'min'),
        initial_checkpoint=str(base),
        trained=['pos.*', 'wi'],
    )


def test_some_parameters_are_trained_and_saved_and_the_others_read_again(trainer, columns, params, tmp_path):
    seen = []

    def validate(given, step):
        seen.append(jax.device_get(given))
        return {'loss': 0.0}

    whole = trainer.fit(SmallModel(), columns, tmp_path / 'whole', validate)
    saved = load_params(whole.checkpoint)
    assert saved.keys() == TRAINED
    for name, value in params.items():
        assert np.array_equal(seen[0][name], value) == (name not in TRAINED), name
    # Gone on with, it is to the bit what it would have been.
    dataclasses.replace(trainer, steps=2).fit(SmallModel(), columns, tmp_path / 'broken')
    result = trainer.fit(SmallModel(), columns, tmp_path / 'broken', validate)
    assert result.first_step == 2
    jax.tree.map(np.testing.assert_array_equal, seen[1], seen[0])
    jax.tree.map(np.testing.assert_array_equal, load_params(result.checkpoint), saved)
    # Whoever reads the checkpoint reads all parameters.
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), seen[0])
    jax.tree.map(np.testing.assert_array_equal, restore_params(whole.checkpoint, shapes), seen[0])


def test_sharded_and_accumulated_training_equals_that_of_one_device(trainer, columns, tmp_path):
    trained = {}
    for name, change in {
        'alone': {},
        'fsdp': {'mesh': MeshShape(4, 2), 'logical_axis_rules': 'fsdp', 'microbatches': 2},
        'zero': {'mesh': MeshShape(4, 2), 'optimizer_sharding': 'data'},
    }.items():
        fitting = dataclasses.replace(trainer, **change)
        trained[name] = load_params(fitting.fit(SmallModel(), columns, tmp_path / name).checkpoint)
    for name in ('fsdp', 'zero'):
        for path, value in trained['alone'].items():
            np.testing.assert_allclose(trained[name][path], value, atol=1e-5, err_msg=f'{name} {path}')


def test_a_base_is_held_in_bfloat16(trainer, columns, params, tmp_path):
    held = {}

    def validate(given, step):
        held.update(given)
        return {'loss': 0.0}

    fitting = dataclasses.replace(trainer, steps=1, frozen_dtype='bfloat16')
    fitting.fit(SmallModel(), columns, tmp_path, validate)
    assert {name for name, value in held.items() if value.dtype == jnp.bfloat16} == params.keys() - TRAINED
    np.testing.assert_array_equal(held['wo'], params['wo'].astype(jnp.bfloat16))


def test_a_base_that_moved_along_is_found_and_another_refused(trainer, columns, params, tmp_path):
    there = tmp_path / 'there'
    base = save(there / 'base', params)
    fitting = dataclasses.replace(trainer, steps=1, initial_checkpoint=str(base))
    checkpoint = fitting.fit(SmallModel(), columns, there / 'run').checkpoint
    here = there.rename(tmp_path / 'here')
    moved = here / checkpoint.relative_to(there)
    assert {name.removeprefix('target/') for name in open_whole(moved).arrays} == params.keys()

    (here / 'base').rename(here / 'gone')
    with pytest.raises(CheckpointError, match='holds adapters alone, .* no such checkpoint'):
        open_whole(moved)
    save(here / 'base', params | {'scale': params['scale'] + 1e-3})
    with pytest.raises(CheckpointError, match='was trained on another base'):
        open_whole(moved)
    # Goes on in its old place with the new base: the path is the same, what lies there is not.
    there.mkdir()
    for name in ('base', 'run'):
        (here / name).rename(there / name)
    with pytest.raises(CheckpointError, match='was trained on another base'):
        dataclasses.replace(fitting, steps=2).fit(SmallModel(), columns, there / 'run')


def test_what_cannot_be_frozen(trainer, columns, tmp_path):
    def refused(**change):
        dataclasses.replace(trainer, **change).fit(SmallModel(), columns, tmp_path / 'run')

    with pytest.raises(ValueError, match=r"Trainer.trained: 'w' matches no parameter"):
        refused(trained=('w',))
    with pytest.raises(ValueError, match='no regular expression'):
        refused(trained=('(',))
    with pytest.raises(ValueError, match='name the checkpoint that has them as Trainer.initial_checkpoint'):
        refused(initial_checkpoint=None)
    with pytest.raises(ValueError, match='frozen_dtype'):
        refused(frozen_dtype='int4')
    with pytest.raises(ValueError, match='draws position, which Trainer.trained leaves frozen'):
        refused(trained=('wi',), fresh_parameters=('position',))
    assert not list(tmp_path.glob('run/checkpoints/*'))
