import pathlib
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.training.checkpoint_layouts import CheckpointError
from llmrec_jax.training.checkpoints import Checkpoints
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.train_state import TrainState

OPTIMIZER = optax.adamw(0.1)


def state(step, width=6, sharding=None):
    values = np.random.default_rng(step).normal(size=(4, width)).astype(np.float32)
    params = {'mlp': {'wi': jnp.asarray(values)}, 'norm': {'scale': jnp.ones(width)}}
    opt_state = OPTIMIZER.init(params)
    made = TrainState(jnp.asarray(step, jnp.int32), params, opt_state)
    return made if sharding is None else jax.device_put(made, sharding)


def abstract(made):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), made
    )


def assert_same(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


@pytest.fixture
def checkpoints(tmp_path):
    opened = Checkpoints(tmp_path / 'checkpoints', keep=2)
    yield opened
    opened.close()


def test_what_is_saved_is_restored_bit_by_bit(checkpoints):
    checkpoints.save(3, state(3))
    checkpoints.wait()
    assert_same(checkpoints.restore(3, abstract(state(0))), state(3))
    assert_same(load_params(checkpoints.path(3)), state(3).params)


def test_a_donated_state_does_not_change_its_checkpoint(checkpoints):
    made, kept = state(1), jax.device_get(state(1))
    step = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0)
    checkpoints.save(1, made)
    for _ in range(5):
        made = step(made)
    checkpoints.wait()
    assert_same(checkpoints.restore(1, abstract(state(0))), kept)


def test_a_checkpoint_restores_on_another_mesh(checkpoints):
    mesh = MeshShape(data=4, model=2).build()
    checkpoints.save(1, state(1))
    checkpoints.wait()
    target = abstract(state(0, sharding=NamedSharding(mesh, PartitionSpec())))
    target.params['mlp']['wi'] = jax.ShapeDtypeStruct(
        (4, 6), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec('data', 'model'))
    )
    restored = checkpoints.restore(1, target)
    assert_same(restored, state(1))
    assert restored.params['mlp']['wi'].sharding.shard_shape((4, 6)) == (1, 3)


def test_the_newest_are_kept_and_the_best_whatever_its_age(checkpoints):
    for step in (1, 2, 3, 4, 5):
        checkpoints.save(step, state(step), best=step in (1, 2))
    checkpoints.wait()
    assert checkpoints.steps() == [2, 4, 5]
    checkpoints.keep_best(None)
    checkpoints.save(6, state(6))
    checkpoints.wait()
    assert checkpoints.steps() == [5, 6]


def test_orbax_and_so_t5x_reads_the_layout(checkpoints):
    checkpoints.save(7, state(7))
    checkpoints.wait()
    tree = ocp.PyTreeCheckpointer().restore(checkpoints.path(7) / 'state')
    assert set(tree) == {'target', 'state'} and set(tree['state']) == {'step', 'param_states'}
    assert_same(tree['target'], state(7).params)
    assert tree['state']['step'] == 7


def test_params_alone_as_t5x_may_write_them_are_read(tmp_path):
    tree = {'target': jax.device_get(state(1).params), 'state': {'step': np.int32(1)}}
    ocp.PyTreeCheckpointer().save(tmp_path / 'checkpoint_1' / 'state', tree)
    assert_same(load_params(tmp_path / 'checkpoint_1'), state(1).params)


def test_a_checkpoint_of_another_model_names_the_first_parameter_that_differs(checkpoints):
    checkpoints.save(1, state(1))
    checkpoints.wait()
    message = r'target/mlp/wi .*\(4, 6\).*\(4, 8\)'
    with pytest.raises(CheckpointError, match=message):
        checkpoints.restore(1, abstract(state(1, width=8)))
    other = abstract(state(1))
    other.params['head'] = other.params['mlp']['wi']
    with pytest.raises(CheckpointError, match=r'target/head'):
        checkpoints.restore(1, other)
    one_moment = abstract(state(1)).replace(
        opt_state=abstract(optax.sgd(0.1, momentum=0.9).init(state(1).params))
    )
    with pytest.raises(CheckpointError, match='state/param_states/0'):
        checkpoints.restore(1, one_moment)


def files(directory):
    return sorted(path.relative_to(directory) for path in directory.rglob('*') if path.is_file())


@pytest.mark.parametrize('damage', ['truncated', 'missing'])
def test_damage_is_named_with_its_cure_or_does_no_harm(checkpoints, tmp_path, damage):
    for step in (1, 2):
        checkpoints.save(step, state(step))
        checkpoints.wait()
    whole = tmp_path / 'whole'
    shutil.copytree(checkpoints.path(2), whole)
    named = 0
    for file in files(whole / 'state'):
        shutil.rmtree(checkpoints.path(2))
        shutil.copytree(whole, checkpoints.path(2))
        path = checkpoints.path(2) / 'state' / file
        if damage == 'missing':
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        try:
            restored = checkpoints.restore(2, abstract(state(0)))
        except CheckpointError as error:
            assert 'checkpoint_2 cannot be read' in str(error)
            assert f'delete {checkpoints.path(2)} to go on from step 1' in str(error)
            named += 1
        else:
            assert_same(restored, state(2))
    assert named
    assert_same(checkpoints.restore(1, abstract(state(0))), state(1))


def test_an_interrupted_save_is_no_checkpoint_and_is_cleaned_up(checkpoints, tmp_path):
    checkpoints.save(1, state(1))
    checkpoints.wait()
    partial = tmp_path / 'checkpoints' / 'checkpoint_2.orbax-checkpoint-tmp'
    shutil.copytree(checkpoints.path(1), partial)
    again = Checkpoints(tmp_path / 'checkpoints', keep=2)
    assert again.steps() == [1]
    again.save(3, state(3))
    again.close()
    assert again.steps() == [1, 3] and not partial.exists()


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], capture_output=True)
    if mounted.returncode:
        pytest.skip('mounting a small disk needs root')
    yield disk
    subprocess.run(['umount', disk], check=True)


def test_a_full_disk_is_one_clear_message_and_leaves_the_earlier_checkpoints(small_disk):
    checkpoints = Checkpoints(small_disk, keep=3)
    checkpoints.save(1, state(1))
    checkpoints.wait()
    (small_disk / 'filler').write_bytes(b'0' * (shutil.disk_usage(small_disk).free - 4096))
    with pytest.raises(CheckpointError, match=r'steps: 1'):
        checkpoints.save(2, state(2, width=10_000))
        checkpoints.wait()
    checkpoints.close()
    (small_disk / 'filler').unlink()
    again = Checkpoints(small_disk, keep=3)
    assert_same(again.restore(1, abstract(state(0))), state(1))
    again.save(2, state(2))
    again.wait()
    assert again.steps() == [1, 2]
    again.close()


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match='checkpoint_9'):
        load_params(tmp_path / 'checkpoint_9')


def test_at_least_one_is_kept(tmp_path):
    with pytest.raises(ValueError, match='keep=0'):
        Checkpoints(tmp_path, keep=0)
    assert not list(pathlib.Path(tmp_path).iterdir())
