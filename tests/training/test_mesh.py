import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen.partitioning import AxisMetadata, with_sharding_constraint
from jax.sharding import PartitionSpec

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.training.mesh import (
    STANDARD_RULES,
    MeshShape,
    batch_sharding,
    check_batch,
    optimizer_shardings,
    parameter_shardings,
    place,
)
from llmrec_jax.training.optimizers import Adafactor, AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.step import compile_step
from llmrec_jax.training.train_state import abstract_state, initial_state
from tests.training.small_model import SmallModel


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def axes(*names):
    return AxisMetadata(names)


@pytest.fixture
def mesh():
    return MeshShape(data=4, model=2).build()


def test_the_data_axis_takes_the_devices_that_the_model_leaves():
    assert dict(MeshShape(model=2).build().shape) == {'data': 4, 'model': 2}
    assert dict(MeshShape(data=1).build().shape) == {'data': 1, 'model': 1}


@pytest.mark.parametrize('sizes', [(None, 3), (8, 2), (0, 1), (None, 16)])
def test_a_mesh_that_does_not_fit_the_devices_is_an_error(sizes):
    with pytest.raises(ValueError, match='does not fit the 8 devices'):
        MeshShape(*sizes).build()


def test_parameters_are_shared_by_the_names_of_their_axes(mesh):
    params = {'embedding': shape(64, 16), 'mlp': {'wi': shape(3, 16, 32)}, 'norm': {'scale': shape(16)}}
    params_axes = {
        'embedding_axes': axes('vocab', 'embed'),
        'mlp': {'wi_axes': axes('layers', 'embed', 'mlp')},
        'norm': {'scale_axes': axes('embed')},
    }
    shardings = parameter_shardings(mesh, STANDARD_RULES, params, params_axes)
    specs = jax.tree.map(lambda sharding: tuple(sharding.spec), shardings)
    assert specs['embedding'] == ('model', None)
    assert specs['mlp']['wi'] == (None, None, 'model')
    assert specs['norm']['scale'] == (None,)


def test_a_mesh_axis_shares_one_dimension_of_a_parameter(mesh):
    sharding = parameter_shardings(
        mesh, STANDARD_RULES, {'bias': shape(4, 8)}, {'bias_axes': axes('heads', 'mlp')}
    )['bias']
    assert tuple(sharding.spec) == (None, 'model')


@pytest.mark.parametrize(
    ('size', 'names', 'message'),
    [
        (15, ('mlp',), r"parameter mlp/wi: axis 'mlp' of size 15 does not divide by the 2 devices"),
        (16, ('mpl',), "no rule for logical axis 'mpl'"),
        (16, ('embed', 'mlp'), r'parameter mlp/wi of shape \(16,\) has 2 axis names'),
    ],
)
def test_a_parameter_that_cannot_be_shared_is_named(mesh, size, names, message):
    with pytest.raises(ValueError, match=message):
        parameter_shardings(
            mesh, STANDARD_RULES, {'mlp': {'wi': shape(size)}}, {'mlp': {'wi_axes': axes(*names)}}
        )


def test_a_parameter_without_axis_names_is_named(mesh):
    with pytest.raises(ValueError, match='parameter wi has no logical axis names'):
        parameter_shardings(mesh, STANDARD_RULES, {'wi': shape(4)}, {})


def test_a_microbatch_that_cannot_be_shared_is_an_error(mesh):
    check_batch(mesh, STANDARD_RULES, 8)
    with pytest.raises(ValueError, match='6 examples a microbatch cannot be shared among 4 devices'):
        check_batch(mesh, STANDARD_RULES, 6)


def test_moments_lie_as_their_parameters_do_and_factored_ones_on_what_is_left(mesh):
    params = {'wi': shape(16, 32)}
    shardings = parameter_shardings(mesh, STANDARD_RULES, params, {'wi_axes': axes('embed', 'mlp')})

    def specs(optimizer):
        transformation = optimizer.build()
        state = jax.eval_shape(transformation.init, params)
        by_leaf = optimizer_shardings(mesh, transformation, params, shardings)
        pairs = zip(jax.tree.leaves(state), jax.tree.leaves(by_leaf), strict=True)
        return {leaf.shape: tuple(sharding.spec) for leaf, sharding in pairs}

    assert specs(AdamW(Constant(0.1))) == {(): (), (16, 32): (None, 'model')}
    factored = specs(Adafactor(Constant(0.1), min_dim_size_to_factor=8))
    assert factored[(16,)] == (None,) and factored[(32,)] == ('model',)


def test_batches_are_placed_shard_by_shard(mesh):
    array = np.arange(16).reshape(8, 2)
    placed = place({'inputs': array}, batch_sharding(mesh, STANDARD_RULES))['inputs']
    assert placed.sharding.spec == PartitionSpec('data')
    assert {shard.data.shape for shard in placed.addressable_shards} == {(2, 2)}
    assert (np.asarray(placed) == array).all()


def small_features(mesh):
    placement = batch_sharding(mesh, STANDARD_RULES)
    return {
        'inputs': jax.ShapeDtypeStruct((8, 5), jnp.int32, sharding=placement),
        'targets': jax.ShapeDtypeStruct((8, 2), jnp.int32, sharding=placement),
        'weights': jax.ShapeDtypeStruct((8, 2), jnp.float32, sharding=placement),
    }


def test_t5_and_its_moments_are_made_in_shards(mesh):
    config = T5Config(32, 8, 2, 4, 16, 1, 1, mlp_activations=('gelu', 'linear'), scan_layers=True)
    model = EncoderDecoderModel(Transformer(config))
    features = {
        name: jax.ShapeDtypeStruct((8, length), jnp.int32)
        for name, length in (('encoder_input_tokens', 5), ('decoder_input_tokens', 3))
    }
    optimizer = AdamW(Constant(0.1)).build()
    with jax.set_mesh(mesh):
        abstract = abstract_state(model, optimizer, features, mesh, STANDARD_RULES)
        state = initial_state(model, optimizer, features, 0, abstract, STANDARD_RULES)
    for tree in (state.params, state.opt_state[1][0].mu):
        embedding = tree['token_embedder']['embedding']
        assert embedding.sharding.shard_shape(embedding.shape) == (16, 8)
        kernel = tree['encoder']['layers']['mlp']['wi_0']['kernel']
        assert kernel.sharding.shard_shape(kernel.shape)[-1] == 8


def test_the_step_keeps_the_constraints_on_activations(mesh):
    seen = []

    class Constrained(SmallModel):
        """Constrains an activation that nothing else would share over the model axis."""

        def loss_sums(self, params, batch, dropout_rng):
            activation = with_sharding_constraint(
                jnp.cos(jnp.ones((8, 2, 4)) * batch['weights'][:, :, None]),
                PartitionSpec('batch', 'length', 'mlp'),
            )
            jax.debug.inspect_array_sharding(activation, callback=seen.append)
            loss, weight, metrics = super().loss_sums(params, batch, dropout_rng)
            return loss, weight, {**metrics, 'activation': activation.sum()}

    model, optimizer, features = Constrained(), AdamW(Constant(0.1)).build(), small_features(mesh)
    with jax.set_mesh(mesh):
        abstract = abstract_state(model, optimizer, features, mesh, STANDARD_RULES)
        compile_step(
            model, optimizer, abstract, {5: features}, STANDARD_RULES, 0, 'threefry2x32', microbatches=1
        )
    assert {sharding.shard_shape((8, 2, 4)) for sharding in seen} == {(2, 2, 2)}
