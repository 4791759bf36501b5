"""What T5X writes is read here, and the other way round, where T5X is installed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import core

from llmrec_jax.models.t5 import Transformer
from llmrec_jax.training.checkpoint_layouts import CheckpointError
from llmrec_jax.training.checkpoints import Checkpoints
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape, optimizer_shardings, parameter_shardings
from llmrec_jax.training.optimizers import Adafactor, AdamW
from llmrec_jax.training.parameter_restore import (
    load_params,
    named_leaves,
    restore_params,
    restore_state,
)
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.train_state import TrainState, to_tree
from tests.small_t5 import GATED as CONFIG
from tests.training.t5x_files import write_t5x

t5x_checkpoints = pytest.importorskip('t5x.checkpoints')
adafactor = pytest.importorskip('t5x.adafactor')
partitioning = pytest.importorskip('t5x.partitioning')
wrapped = pytest.importorskip('llmrec_jax.t5x.optimizer')
train_state = pytest.importorskip('t5x.train_state')

STEP = 12
OPTIMIZERS = {
    'adamw': AdamW(Constant(0.01)).build(),
    # Every matrix factored.
    'adafactor': Adafactor(Constant(0.01), min_dim_size_to_factor=2).build(),
}


def filled(tree, seed):
    """`tree` with other numbers, so that nothing restored can be what an initializer made."""
    rng = np.random.default_rng(seed)

    def other(leaf):
        leaf = np.asarray(leaf)
        return rng.normal(size=leaf.shape).astype(leaf.dtype) if leaf.dtype.kind == 'f' else leaf + STEP

    return jax.tree.map(other, tree)


@functools.cache
def variables():
    tokens = jnp.ones((1, 1), jnp.int32)
    return jax.jit(lambda: Transformer(CONFIG).init(jax.random.key(0), tokens, tokens, tokens))()


def our_state(optimizer) -> TrainState:
    params = jax.device_get(variables()['params'])
    return TrainState(np.int32(STEP), filled(params, 1), filled(optimizer.init(params), 2))


def our_abstract(optimizer) -> TrainState:
    state = our_state(optimizer)
    mesh = MeshShape(data=4, model=2).build()
    by_name = parameter_shardings(mesh, STANDARD_RULES, state.params, variables()['params_axes'])
    shardings = TrainState(
        jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()),
        by_name,
        optimizer_shardings(mesh, optimizer, state.params, by_name),
    )
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        jax.eval_shape(lambda: state),
        shardings,
    )


def t5x_state(optimizer_def, ours: TrainState | None = None):
    """T5X's train state, holding what `ours` holds."""
    state = train_state.FlaxOptimTrainState.create(optimizer_def, core.freeze(variables()))
    state = state.replace_step(np.int32(STEP))
    return state if ours is None else state.restore_state(to_tree(ours))


def partitioner():
    return partitioning.PjitPartitioner(
        model_parallel_submesh=(1, 2), logical_axis_rules=partitioning.standard_logical_axis_rules()
    )


def checkpointer(layout, state, directory):
    if layout == 'legacy':
        return t5x_checkpoints.Checkpointer(state, partitioner(), str(directory))
    return t5x_checkpoints.OrbaxCheckpointManagerInterface(str(directory), state, partitioner())


def write_with_t5x(layout, state, directory):
    directory.mkdir()
    manager = checkpointer(layout, state, directory)
    manager.save(state)
    if layout == 'orbax':
        manager.wait_until_finished()
    return directory / f'checkpoint_{int(state.step)}'


def assert_same(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(actual), jax.device_get(expected))


@pytest.mark.parametrize('layout', ['legacy', 'orbax'])
@pytest.mark.parametrize('name', OPTIMIZERS)
def test_training_goes_on_from_what_t5x_wrote_with_the_same_optimizer(tmp_path, layout, name):
    optimizer = OPTIMIZERS[name]
    expected = our_state(optimizer)
    written = write_with_t5x(layout, t5x_state(wrapped.OptaxOptimizer(optimizer), expected), tmp_path / 'run')
    assert_same(load_params(written), expected.params)
    checkpoints = Checkpoints(tmp_path / 'run', keep=2)
    assert checkpoints.steps() == [STEP]
    restored = checkpoints.restore(STEP, our_abstract(optimizer))
    assert jax.tree.structure(restored) == jax.tree.structure(expected)
    assert_same(restored, expected)
    checkpoints.close()


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_t5x_goes_on_from_what_was_written_here(tmp_path, name):
    optimizer = OPTIMIZERS[name]
    expected = our_state(optimizer)
    checkpoints = Checkpoints(tmp_path / 'run', keep=2)
    checkpoints.save(STEP, expected)
    checkpoints.close()
    fresh = t5x_state(wrapped.OptaxOptimizer(optimizer))
    restored = checkpointer('orbax', fresh, tmp_path / 'run').restore(STEP)
    assert int(restored.step) == STEP
    assert_same(core.unfreeze(restored.params), expected.params)
    assert_same(named_leaves(restored.param_states), named_leaves(expected.opt_state))


@pytest.mark.parametrize('layout', ['legacy', 'orbax'])
def test_parameters_come_from_t5x_s_own_adafactor_and_its_state_does_not(tmp_path, layout):
    expected = our_state(OPTIMIZERS['adamw'])
    rules = adafactor.standard_logical_factor_rules()
    own = adafactor.Adafactor(decay_rate=0.8, logical_factor_rules=rules)
    fresh = t5x_state(own)
    state = fresh.replace_params(core.freeze(expected.params))
    written = write_with_t5x(layout, state, tmp_path / 'run')
    abstract = our_abstract(OPTIMIZERS['adamw'])
    assert_same(restore_params(written, abstract.params), expected.params)
    with pytest.raises(CheckpointError, match='own Adafactor.* name it as Trainer.initial_checkpoint'):
        restore_state(written, abstract, 'delete it')


@pytest.mark.parametrize('scan_layers', [False, True])
def test_t5x_s_scalable_network_is_refused_for_what_it_is(tmp_path, scan_layers):
    network = pytest.importorskip('t5x.examples.scalable_t5.network')
    names = ('vocab_size', 'emb_dim', 'num_heads', 'head_dim', 'mlp_dim', 'mlp_activations')
    shared = {name: getattr(CONFIG, name) for name in names}
    theirs = network.Transformer(
        network.T5Config(**shared, num_encoder_layers=2, num_decoder_layers=2, scan_layers=scan_layers)
    )
    tokens = jnp.ones((1, 1), jnp.int32)
    made = jax.eval_shape(
        lambda: theirs.init(jax.random.key(0), tokens, tokens, tokens, enable_dropout=False)
    )
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), made['params'])
    written = write_t5x(tmp_path / 'checkpoint_1', params)
    with pytest.raises(CheckpointError, match='relative position bias of its own in every layer'):
        restore_params(written, our_abstract(OPTIMIZERS['adamw']).params)
