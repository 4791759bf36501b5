"""Data and model parallel on eight virtual devices computes what one device computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import unfreeze
from flax.linen import partitioning
from jax.sharding import AxisType, NamedSharding, PartitionSpec

RULES = (
    ('batch', 'data'),
    ('vocab', 'model'),
    ('embed', None),
    ('mlp', 'model'),
    ('heads', 'model'),
    ('kv', None),
    ('joined_kv', 'model'),
    ('relpos_buckets', None),
    ('length', None),
    ('layers', None),
)


@pytest.mark.parametrize('scan_layers', [False, pytest.param(True, marks=pytest.mark.smoke)])
def test_sharded_loss_and_gradients_equal_the_unsharded(make_model, task_batch, scan_layers):
    model = make_model(scan_layers=scan_layers)
    batch = model.convert_features({name: np.tile(tokens[:4], (2, 1)) for name, tokens in task_batch.items()})
    shapes = {name: feature.shape for name, feature in batch.items()}
    variables = model.get_initial_variables(jax.random.key(0), shapes)
    params = variables['params']

    def loss(params, batch):
        return model.loss_sums(params, batch)[0]

    expected_loss, expected = jax.jit(jax.value_and_grad(loss))(params, batch)

    mesh = jax.make_mesh((4, 2), ('data', 'model'), axis_types=(AxisType.Auto, AxisType.Auto))
    specs = jax.tree.map(
        lambda names: partitioning.logical_to_mesh_axes(names, RULES),
        unfreeze(partitioning.get_axis_names(variables['params_axes'])),
        is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
    )
    with jax.set_mesh(mesh), partitioning.axis_rules(RULES):
        sharded = jax.tree.map(
            lambda leaf, spec: jax.device_put(leaf, NamedSharding(mesh, spec)), params, specs
        )
        rows = jax.device_put(batch, NamedSharding(mesh, PartitionSpec('data')))
        step = jax.jit(jax.value_and_grad(loss))
        text = step.lower(sharded, rows).as_text()
        actual_loss, actual = step(sharded, rows)
    assert text.count('sharding_constraint') + text.count('@Sharding') > 20
    kernel = jax.tree.leaves(sharded['encoder']['layers' if scan_layers else 'layers_0']['mlp']['wo'])[0]
    assert kernel.addressable_shards[0].data.shape[-2] == kernel.shape[-2] // 2
    np.testing.assert_allclose(actual_loss, expected_loss, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), actual, expected)


def test_sharded_decoding_equals_the_unsharded(model, params, task_batch):
    tokens = jnp.asarray(np.tile(task_batch['inputs'][:4], (2, 1)))
    newest = jnp.asarray(np.random.default_rng(0).integers(1, 48, (8, 3)))

    def decode(params, tokens, newest):
        variables = {'params': params}
        encoded = model.module.apply(variables, tokens, method='encode')
        cross = model.module.apply(variables, encoded, method='cross_keys_values')
        cache = model.module.init_self_cache(8, 3, 2)
        return model.module.apply(variables, newest, 0, cache, cross, tokens > 0, method='decode_beams')[0]

    expected = jax.jit(decode)(params, tokens, newest)
    mesh = jax.make_mesh((4, 2), ('data', 'model'), axis_types=(AxisType.Auto, AxisType.Auto))
    with jax.set_mesh(mesh), partitioning.axis_rules(RULES):
        rows = NamedSharding(mesh, PartitionSpec('data'))
        actual = jax.jit(decode)(params, jax.device_put(tokens, rows), jax.device_put(newest, rows))
    np.testing.assert_allclose(actual, expected, atol=1e-5)
