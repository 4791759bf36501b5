"""Costs read off compiled programs, against work and traffic known by hand, on eight virtual devices."""

import collections

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from llmrec_jax.planning.hlo_text import parse_module, parse_shapes
from llmrec_jax.planning.program_costs import program_costs


def _mesh():
    return jax.make_mesh((4, 2), ('data', 'model'), axis_types=(jax.sharding.AxisType.Auto,) * 2)


def _costs(function, *arguments, out=None):
    jitted = jax.jit(function) if out is None else jax.jit(function, out_shardings=out)
    return program_costs(parse_module(jitted.lower(*arguments).compile().as_text()), 8)


def _array(mesh: Mesh, shape, *spec, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, PartitionSpec(*spec)))


def _sent(costs):
    sent = collections.Counter()
    for collective in costs.collectives:
        sent[collective.kind] += collective.times * collective.sent_bytes
    return dict(sent)


def test_a_contraction_over_a_shared_axis_is_reduced_over_it():
    mesh = _mesh()
    lhs, rhs = _array(mesh, (16, 64), None, 'model'), _array(mesh, (64, 32), 'model')
    costs = _costs(jnp.dot, lhs, rhs, out=NamedSharding(mesh, PartitionSpec()))
    assert costs.matrix_flops == 2 * 16 * 32 * 64 // 2
    # Two devices a group; each sends half of the 16 x 32 float32 twice.
    assert _sent(costs) == {'all-reduce': 2 * 16 * 32 * 4 / 2}
    assert {len(collective.group) for collective in costs.collectives} == {2}


def test_an_array_made_whole_is_gathered():
    mesh = _mesh()
    costs = _costs(lambda x: x + 1, _array(mesh, (64, 8), 'data'), out=NamedSharding(mesh, PartitionSpec()))
    assert _sent(costs) == {'all-gather': 64 * 8 * 4 * 3 / 4}


def test_a_scanned_layer_counts_as_often_as_it_runs():
    mesh = _mesh()

    def layers(x, kernels):
        def layer(x, kernel):
            x = jnp.dot(x, kernel)
            whole = jax.lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec('data')))
            return jnp.tanh(jnp.dot(whole, kernel.T)), None

        return jax.lax.scan(layer, x, kernels)[0]

    def costs(depth):
        kernels = _array(mesh, (depth, 32, 64), None, None, 'model')
        return _costs(layers, _array(mesh, (16, 32), 'data'), kernels)

    three, twelve = costs(3), costs(12)
    # Each device: 4 rows; the first product over half of the columns, the second over half or all of them.
    assert three.matrix_flops % 3 == 0
    assert twelve.matrix_flops == 4 * three.matrix_flops
    assert three.matrix_flops >= 3 * 2 * 2 * 4 * 32 * 32
    assert sum(_sent(twelve).values()) == pytest.approx(4 * sum(_sent(three).values()))
    assert twelve.uncounted_loops == 0


def test_a_loop_whose_end_depends_on_data_is_counted_once_and_named():
    def halve(x):
        return jax.lax.while_loop(lambda x: jnp.max(x) > 1, lambda x: x @ x / 2, x)

    costs = _costs(halve, jnp.ones((8, 8)))
    assert costs.uncounted_loops == 1
    assert costs.matrix_flops == 2 * 8**3


def test_nested_loops_multiply():
    def inner(x):
        return jax.lax.fori_loop(0, 5, lambda _, x: x @ x, x)

    costs = _costs(lambda x: jax.lax.fori_loop(2, 9, lambda _, x: inner(x), x), jnp.ones((8, 8)))
    assert costs.matrix_flops == 7 * 5 * 2 * 8**3


def test_batched_products_count_each_batch_once():
    lhs, rhs = jnp.ones((6, 4, 10)), jnp.ones((6, 10, 3))
    assert _costs(lambda a, b: jnp.einsum('bij,bjk->bik', a, b), lhs, rhs).matrix_flops == 2 * 6 * 4 * 10 * 3


def test_memory_counts_what_crosses_an_instruction_and_a_slice_for_itself():
    table = jnp.ones((1024, 256))
    costs = _costs(lambda table, row: jax.lax.dynamic_slice_in_dim(table, row, 2) * 2.0, table, 0)
    assert costs.memory_bytes < 10 * 2 * 256 * 4


def test_memory_spaces_are_read_off_layouts():
    first, second = parse_shapes('(bf16[8,512]{1,0:T(8,128)(2,1)S(1)}, pred[3]{0})')
    assert (first.bytes, first.memory, first.main_memory_bytes) == (8 * 512 * 2, 1, 0)
    assert (second.bytes, second.main_memory_bytes) == (3, 3)
