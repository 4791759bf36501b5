"""What stays float32 where activations are bfloat16."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from tests.drawn_parameters import drawn


@pytest.mark.parametrize(
    ('scan_layers', 'one_hot_embedding'), [(True, False), pytest.param(False, True, marks=pytest.mark.slow)]
)
def test_no_gradient_of_a_parameter_is_rounded_to_bfloat16(make_model, batch, scan_layers, one_hot_embedding):
    model = make_model(
        dtype='bfloat16',
        scan_layers=scan_layers,
        one_hot_embedding=one_hot_embedding,
        mlp_activations=('gelu', 'linear'),
    )
    shapes = {name: feature.shape for name, feature in batch.items()}
    params = drawn(model, shapes)
    gradients = jax.jit(jax.grad(lambda params: model.loss_sums(params, batch)[0]))(params)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        name = jax.tree_util.keystr(path)
        assert gradient.dtype == jnp.float32, name
        rounded = gradient == gradient.astype(jnp.bfloat16).astype(jnp.float32)
        assert np.mean(rounded | (gradient == 0)) < 0.9, f'{name} was rounded'
    logits = jax.eval_shape(model.compute_logits, params, batch)
    assert logits.dtype == jnp.float32


@pytest.mark.slow
@pytest.mark.parametrize('scan_layers', [False, True])
def test_a_tpu_sums_gradients_over_the_data_axis_in_float32(make_model, monkeypatch, scan_layers):
    pytest.importorskip('libtpu', reason='compiling for a TPU needs libtpu')
    from jax.experimental import topologies

    monkeypatch.setenv('TPU_SKIP_MDS_QUERY', '1')
    monkeypatch.setenv('ALLOW_MULTIPLE_LIBTPU_LOAD', '1')
    model = make_model(dtype='bfloat16', scan_layers=scan_layers)
    devices = topologies.get_topology_desc(platform='tpu', topology_name='v5e:2x4').devices
    mesh = jax.sharding.Mesh(np.array(devices), ('data',))
    rows = NamedSharding(mesh, PartitionSpec('data'))
    features = {
        name: jax.ShapeDtypeStruct((16, length), jnp.int32, sharding=rows)
        for name, length in {
            'encoder_input_tokens': 12,
            'decoder_input_tokens': 4,
            'decoder_target_tokens': 4,
        }.items()
    }
    shapes = {name: feature.shape for name, feature in features.items()}
    params = jax.eval_shape(lambda: model.get_initial_variables(jax.random.key(0), shapes)['params'])
    whole = NamedSharding(mesh, PartitionSpec())
    params = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=whole), params)
    gradients = jax.jit(jax.grad(lambda params, batch: model.loss_sums(params, batch)[0]))
    program = gradients.lower(params, features).compile().as_text()
    sums = re.findall(r'= (.*) all-reduce(?:-start)?\(', program)
    assert sums and all('bf16' not in types for types in sums), sums
