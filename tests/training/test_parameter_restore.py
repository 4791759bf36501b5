"""Parameters move between checkpoints of every layout and networks of every arrangement of layers."""

import dataclasses
import functools
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import traverse_util
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.models.t5 import Transformer
from llmrec_jax.models.t5.layer_stack import stack_layers
from llmrec_jax.training.checkpoint_layouts import CheckpointError
from llmrec_jax.training.mesh import (
    STANDARD_RULES,
    MeshShape,
    optimizer_shardings,
    parameter_shardings,
    replicated,
)
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.parameter_restore import load_params, restore_params, restore_state
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.train_state import TrainState, to_tree
from tests.small_t5 import GATED as CONFIG
from tests.training.bucket_server import BucketServer
from tests.training.t5x_files import write_t5x

MESH = MeshShape(data=4, model=2)


@functools.cache
def abstract_params(config=CONFIG, mesh=MESH):
    """Shapes and shardings of the network's parameters."""
    tokens = jnp.ones((1, 1), jnp.int32)
    variables = jax.eval_shape(lambda: Transformer(config).init(jax.random.key(0), tokens, tokens, tokens))
    params = variables['params']
    shardings = parameter_shardings(mesh.build(), STANDARD_RULES, params, variables['params_axes'])
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        params,
        shardings,
    )


def random_params(config=CONFIG):
    """Parameters of the network with one subtree a layer, in host memory."""
    shapes = abstract_params(dataclasses.replace(config, scan_layers=False))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)


def write_orbax(folder, params):
    tree = {'target': params, 'state': {'step': np.int32(7)}}
    ocp.PyTreeCheckpointer().save(folder / 'state', tree)
    return folder


def assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(actual), jax.device_get(expected))


@pytest.fixture(scope='module')
def params():
    return random_params()


@pytest.fixture(scope='module')
def published(params, tmp_path_factory):
    """A checkpoint as Google publishes them."""
    return write_t5x(tmp_path_factory.mktemp('published') / 'checkpoint_1000', params, rows_per_chunk=2)


WRITERS = {'t5x': write_t5x, 'orbax': write_orbax}
ARRANGEMENTS = {
    'a subtree a layer': lambda params: params,
    'stacked': lambda params: jax.device_get(stack_layers(params)),
}


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize('stored', ARRANGEMENTS)
def test_every_arrangement_restores_into_either_network_sharded(params, tmp_path, writer, stored):
    checkpoint = WRITERS[writer](tmp_path / 'checkpoint_7', ARRANGEMENTS[stored](params))
    for scan_layers, expected in ((False, params), (True, stack_layers(params))):
        abstract = abstract_params(dataclasses.replace(CONFIG, scan_layers=scan_layers))
        restored = restore_params(checkpoint, abstract)
        assert_same(restored, expected)
        jax.tree.map(lambda leaf, shape: leaf.sharding == shape.sharding or pytest.fail(), restored, abstract)
    wi = restored['encoder']['layers']['mlp']['wi_0']['kernel']
    assert wi.sharding.shard_shape(wi.shape) == (3, 16, 12)


def test_moments_follow_their_parameters_into_stacked_layers(params, tmp_path):
    optimizer = AdamW(Constant(0.1)).build()

    def state(params):
        moments = optax.tree_map_params(optimizer, lambda _, param: param, optimizer.init(params), params)
        return TrainState(np.int32(4), params, moments)

    folder = tmp_path / 'a folder' / 'checkpoint_4'
    ocp.PyTreeCheckpointer().save(folder / 'state', to_tree(state(params)))
    mesh = MESH.build()
    scanned = abstract_params(dataclasses.replace(CONFIG, scan_layers=True))
    by_name = jax.tree.map(lambda leaf: leaf.sharding, scanned)
    shardings = TrainState(replicated(mesh), by_name, optimizer_shardings(mesh, optimizer, scanned, by_name))
    expected = state(stack_layers(params))
    abstract = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        jax.eval_shape(lambda: expected),
        shardings,
    )
    assert_same(restore_state(folder, abstract, 'delete it'), expected)


def test_only_the_slices_of_a_shard_are_read_and_each_once(published, monkeypatch):
    from llmrec_jax.training import stored_arrays

    read = []
    whole = stored_arrays.ZarrArray.read

    def counted(self, index):
        part = whole(self, index)
        read.append(part.size)
        return part

    monkeypatch.setattr(stored_arrays.ZarrArray, 'read', counted)
    abstract = abstract_params()
    restore_params(published, abstract)
    leaves = jax.tree.leaves(abstract)
    assert sum(read) == sum(leaf.size for leaf in leaves)
    halved = [leaf for leaf in leaves if 'model' in leaf.sharding.spec]
    assert len(read) == len(leaves) + len(halved) > 1.5 * len(leaves)


@settings(max_examples=15)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    rows=st.integers(1, 4),
    stored=st.sampled_from(['float32', 'bfloat16']),
    wanted=st.sampled_from(['float32', 'bfloat16']),
    axis=st.integers(0, 2),
)
def test_any_shape_chunking_and_type_comes_back_sharded(tmp_path_factory, shape, rows, stored, wanted, axis):
    folder = tmp_path_factory.mktemp('any') / 'checkpoint_1'
    axis %= len(shape)
    shape[axis] *= 2
    value = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    write_t5x(folder, {'net': {'w': value}}, rows_per_chunk=min(rows, shape[0]), dtype=stored)
    spec = PartitionSpec(*('model' if n == axis else None for n in range(len(shape))))
    sharding = NamedSharding(MESH.build(), spec)
    abstract = {'net': {'w': jax.ShapeDtypeStruct(tuple(shape), jnp.dtype(wanted), sharding=sharding)}}
    restored = restore_params(folder, abstract)['net']['w']
    assert restored.dtype == jnp.dtype(wanted) and restored.sharding == sharding
    np.testing.assert_array_equal(np.asarray(restored, np.float32), value)


def test_a_checkpoint_written_to_a_bucket_may_be_moved_to_a_disk(params, tmp_path):
    checkpoint = write_t5x(tmp_path / 'checkpoint_5', params, driver='gcs')
    moved = tmp_path / 'elsewhere' / 'checkpoint_5'
    shutil.move(checkpoint, moved)
    assert_same(load_params(moved), params)
    assert_same(load_params(f'file://{moved}'), params)


@pytest.mark.parametrize('writer', WRITERS)
def test_a_bucket_is_read_by_tensorstore_s_own_client(params, tmp_path, monkeypatch, writer):
    WRITERS[writer](tmp_path / 'models' / 'checkpoint_7', params)
    with BucketServer(tmp_path, 'shop') as server:
        monkeypatch.setenv('TENSORSTORE_GCS_HTTP_URL', server.address)
        monkeypatch.setenv('GOOGLE_AUTH_TOKEN_FOR_TESTING', 'none')
        restored = restore_params('gs://shop/models/checkpoint_7', abstract_params())
        with pytest.raises(CheckpointError, match='^gs://shop/models/checkpoint_8: no such checkpoint$'):
            load_params('gs://shop/models/checkpoint_8')
    assert_same(restored, params)
    assert all(request.startswith(('read models/', 'list models/')) for request in server.asked)


def test_the_whole_checkpoint_may_lie_in_the_file(params, tmp_path, monkeypatch):
    monkeypatch.setattr('tests.training.t5x_files.SMALL', 9)
    (tmp_path / 'checkpoint_5').mkdir()
    checkpoint = write_t5x(tmp_path / 'checkpoint_5', params)
    assert [path.name for path in checkpoint.iterdir()] == ['checkpoint']
    assert_same(restore_params(checkpoint, abstract_params()), params)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'emb_dim': 24}, r'decoder/decoder_norm/scale has shape \(16,\) there and \(24,\) here; configure'),
        (
            {'mlp_activations': ('relu',)},
            r'decoder/layers_0/mlp/wi/kernel has shape \(absent\) there and \(16, 24\) here',
        ),
        (
            {'num_encoder_layers': 2},
            r'encoder/layers_2/attention/key/kernel has shape \(16, 8\) there and \(absent\)',
        ),
        (
            {'num_encoder_layers': 4, 'scan_layers': True},
            r'encoder/layers_3/attention/key/kernel has shape \(absent\) there',
        ),
        (
            {'logits_via_embedding': True},
            r'decoder/logits_dense/kernel has shape \(16, 32\) there and \(absent\) here',
        ),
        (
            {'vocab_size': 64},
            r'32 rows and that of this network 64: set T5Config.vocab_size = 32 \(the public',
        ),
    ],
)
def test_another_network_is_one_message_naming_the_first_parameter_that_differs(
    published, change, message, monkeypatch
):
    def refuse(self, index):
        raise AssertionError('a parameter was read before all were compared')

    monkeypatch.setattr('llmrec_jax.training.stored_arrays.ZarrArray.read', refuse)
    with pytest.raises(CheckpointError, match='checkpoint_1000 was written by another model.*' + message):
        restore_params(published, abstract_params(dataclasses.replace(CONFIG, **change)))


def test_stacked_layers_of_another_depth_are_named_for_the_network_without_them(params, tmp_path):
    checkpoint = write_orbax(tmp_path / 'checkpoint_1', jax.device_get(stack_layers(params)))
    fewer = abstract_params(dataclasses.replace(CONFIG, num_decoder_layers=1))
    with pytest.raises(CheckpointError, match=r'decoder/layers/.* shape \(2, 16, 8\) there'):
        restore_params(checkpoint, fewer)


def test_a_network_with_a_bias_in_every_layer_is_refused_for_what_it_is(params, tmp_path):
    first = params['encoder']['layers_0'] | {'relpos_bias': {'rel_embedding': np.ones((2, 32))}}
    encoder = params['encoder'] | {'layers_0': first}
    checkpoint = write_orbax(tmp_path / 'checkpoint_1', params | {'encoder': encoder})
    with pytest.raises(CheckpointError, match='relative position bias of its own in every layer .*umT5'):
        restore_params(checkpoint, abstract_params())


def damaged(published: pathlib.Path, tmp_path, file: str, how) -> pathlib.Path:
    copy = tmp_path / 'checkpoint_1000'
    shutil.copytree(published, copy)
    how(copy / file)
    return copy


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


EMBEDDING = 'target.token_embedder.embedding'


@pytest.mark.parametrize(
    ('file', 'how', 'message'),
    [
        ('checkpoint', halve, 'cannot be read'),
        ('checkpoint', pathlib.Path.unlink, "neither state/_METADATA .* nor a file 'checkpoint'"),
        (EMBEDDING, shutil.rmtree, f'cannot be read .*{EMBEDDING}/.zarray" does not exist'),
        (f'{EMBEDDING}/.zarray', halve, 'cannot be read'),
        (f'{EMBEDDING}/1.0', halve, f'cannot be read .*{EMBEDDING}/1.0'),
        (
            f'{EMBEDDING}/1.0',
            pathlib.Path.unlink,
            'is not whole: target/token_embedder/embedding has 15 of its 16 chunk files; copy it again',
        ),
    ],
)
def test_damage_is_one_message(published, tmp_path, file, how, message):
    broken = damaged(published, tmp_path, file, how)
    with pytest.raises(CheckpointError, match=message) as caught:
        restore_params(broken, abstract_params())
    assert str(caught.value).startswith(str(broken)) and '\n' not in str(caught.value)


def test_what_is_no_checkpoint_says_what_it_is(params, tmp_path):
    write_orbax(tmp_path / 'checkpoint_7', params)
    with pytest.raises(CheckpointError, match='is not a checkpoint, but holds checkpoint_7: name one'):
        load_params(tmp_path)
    with pytest.raises(CheckpointError, match='absent: no such checkpoint$'):
        load_params(tmp_path / 'absent')
    (tmp_path / 'mesh').mkdir()
    (tmp_path / 'mesh' / 'checkpoint').write_text('model_checkpoint_path: "model.ckpt-1000"')
    with pytest.raises(CheckpointError, match='is a TensorFlow checkpoint of Mesh TensorFlow'):
        load_params(tmp_path / 'mesh')
    old = write_t5x(tmp_path / 'old', params, version=1)
    with pytest.raises(CheckpointError, match='version 1 of the T5X layout'):
        load_params(old)
    disguised = write_t5x(tmp_path / 'disguised', params, dtype='uint16')
    with pytest.raises(CheckpointError, match='as uint16; T5X must convert it'):
        load_params(disguised)
    empty = write_t5x(tmp_path / 'empty', {'a': np.ones(2)})
    content = empty / 'checkpoint'
    content.write_bytes(content.read_bytes().replace(b'target', b'tarmac'))
    with pytest.raises(CheckpointError, match='holds no parameters'):
        load_params(empty)


def test_the_published_layout_is_what_the_test_writes(published):
    """The names that can be seen in Google's buckets."""
    names = {path.name for path in published.iterdir()}
    assert {'checkpoint', 'target.encoder.layers_0.attention.query.kernel', EMBEDDING} <= names
    assert len(names) == len(traverse_util.flatten_dict(random_params())) + 1
