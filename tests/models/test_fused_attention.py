"""The backends' kernels compute what plain attention computes, gradients of all that is learned included."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import partitioning
from jax.experimental.pallas import tpu as pltpu
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.models.t5.attention import attention_weights
from llmrec_jax.models.t5.fused_attention import TILE, fused_attention, gpu_attention, tpu_attention
from llmrec_jax.models.t5.masks import Visibility
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape

BATCH, HEADS, WIDTH = 2, 2, 8
SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in ('encoder', 'cross')]


def plain(queries, keys, values, visibility, bias):
    scores = jnp.einsum('bqhd,bkhd->bhqk', queries, keys, preferred_element_type=jnp.float32)
    scores = scores if bias is None else scores + jnp.expand_dims(bias, 0)
    weights = attention_weights(scores, visibility.mask()).astype(values.dtype)
    return jnp.einsum('bhqk,bkhd->bqhd', weights, values)


def problem(case, queries, keys, dtype):
    """Arrays and visibility: the second row is half padding, or the first holds two examples."""
    draw = np.random.default_rng(0).standard_normal
    arrays = [jnp.asarray(draw((BATCH, length, HEADS, WIDTH)), dtype) for length in (queries, keys, keys)]
    bias = None if case == 'cross' else jnp.asarray(draw((HEADS, queries, keys)), jnp.float32)
    real = np.arange(keys)[None, :] < np.array([keys, keys // 2])[:, None]
    if case == 'packed':
        real[0] = True
        segments = 1 + (np.arange(queries)[None, :] >= np.array([queries // 3, queries])[:, None])
        segments = jnp.asarray(segments * real, jnp.int32)
        return arrays, Visibility(jnp.asarray(real), segments, segments), bias
    return arrays, Visibility(jnp.asarray(real), causal=case == 'decoder'), bias


def outputs_and_gradients(attention, arrays, visibility, bias):
    """Of a loss over the queries that are no padding: what others compute is nobody's business."""
    real = jnp.ones(arrays[0].shape[:2])
    if visibility.query_segments is not None:
        real = real * (visibility.query_segments > 0)
    weights = jnp.cos(jnp.arange(arrays[0].size, dtype=jnp.float32)).reshape(arrays[0].shape)
    weights = weights * real[:, :, None, None]

    def loss(arrays, bias):
        attended = attention(*arrays, visibility, bias)
        return jnp.sum(attended.astype(jnp.float32) * weights), attended.astype(jnp.float32) * (weights != 0)

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (_, attended), gradients = compiled(arrays, bias)
    return attended, gradients


@pytest.mark.parametrize('case', ['packed', pytest.param('decoder', marks=pytest.mark.slow), *SLOW])
def test_the_tpu_kernel_equals_plain_attention(case):
    arrays, visibility, bias = problem(case, TILE, TILE, jnp.float32)
    expected = outputs_and_gradients(plain, arrays, visibility, bias)
    with pltpu.force_tpu_interpret_mode():
        actual = outputs_and_gradients(tpu_attention, arrays, visibility, bias)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), actual, expected)


@pytest.mark.parametrize('case', ['decoder', pytest.param('packed', marks=pytest.mark.slow), *SLOW])
def test_what_cudnn_is_asked_for_equals_plain_attention(case):
    arrays, visibility, bias = problem(case, 6, 6, jnp.bfloat16)
    expected = outputs_and_gradients(plain, arrays, visibility, bias)
    actual = outputs_and_gradients(
        functools.partial(gpu_attention, implementation='xla'), arrays, visibility, bias
    )
    # Each rounds what it keeps to bfloat16, at places of its own.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(np.float32(a), np.float32(b), atol=0.06), actual, expected
    )


def test_a_backend_or_a_length_without_a_kernel_is_named(make_model, params, batch):
    arrays, visibility, bias = problem('encoder', 5, 5, jnp.bfloat16)
    with pytest.raises(ValueError, match="needs a TPU or an NVIDIA GPU, and this runs on 'cpu'"):
        fused_attention(*arrays, visibility, bias)
    with pytest.raises(ValueError, match='lengths that are multiples of 128, not 5 queries and 5 keys'):
        tpu_attention(*arrays, visibility, bias)
    with pytest.raises(ValueError, match='even lengths'):
        gpu_attention(*arrays, visibility, bias)
    with pytest.raises(ValueError, match="must be one of .*'plain', 'fused'.*, not 'flash'"):
        make_model(attention='flash')
    # Attention this short is plain wherever it runs.
    fused, plainly = (
        jax.jit(make_model(attention=kind).compute_logits)(params, batch) for kind in ('fused', 'plain')
    )
    np.testing.assert_array_equal(fused, plainly)


@pytest.mark.slow
def test_the_tpu_kernel_compiles_for_rows_and_heads_shared_over_a_mesh(monkeypatch):
    pytest.importorskip('libtpu', reason='compiling for a TPU needs libtpu')
    from jax.experimental import topologies

    monkeypatch.setenv('TPU_SKIP_MDS_QUERY', '1')
    monkeypatch.setenv('ALLOW_MULTIPLE_LIBTPU_LOAD', '1')
    devices = topologies.get_topology_desc(platform='tpu', topology_name='v5e:2x2').devices
    mesh = MeshShape(model=2).build(devices)

    def shape(sizes, dtype, *axes):
        return jax.ShapeDtypeStruct(sizes, dtype, sharding=NamedSharding(mesh, PartitionSpec(*axes)))

    heads = shape((4, 2 * TILE, 2, 64), jnp.bfloat16, 'data', None, 'model')
    bias = shape((2, 2 * TILE, 2 * TILE), jnp.float32, 'model')
    real = shape((4, 2 * TILE), jnp.bool_, 'data')

    def loss(queries, keys, values, bias, real):
        attended = fused_attention(queries, keys, values, Visibility(real, causal=True), bias)
        return jnp.sum(attended.astype(jnp.float32) ** 2)

    with jax.set_mesh(mesh), partitioning.axis_rules(STANDARD_RULES):
        lowered = jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3))).lower(heads, heads, heads, bias, real)
    # Forward, backward for keys and values, backward for queries and bias.
    assert lowered.compile().as_text().count('custom_call_target="tpu_custom_call"') == 3
