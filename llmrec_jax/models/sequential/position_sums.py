"""Sums over the positions that are predicted, computed at no others, with their gradients in one pass.

The losses of a sequence model cost a row of the catalogue at each position, so that padding would cost as
much as items do. Here the positions that count are moved to the front and taken some at a time, as often as
there are such: what is kept at once is bounded, and each chunk's gradient is taken while its scores are
still at hand.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float, PyTree

# (table, states of a chunk, what goes along with them, context, number of the chunk) -> losses of the
# chunk.
Term = Callable[[Any, Any, Any, Any, Any], Any]


def sum_at_positions(
    term: Term,
    table: Float[Array, 'rows dim'],
    states: Float[Array, 'positions dim'],
    counted: Bool[Array, 'positions'],
    along: PyTree[Array],
    context: PyTree[Array],
    positions_at_once: int,
) -> Float[Array, '']:
    """The sum of a loss over the positions that count; differentiable in the table and the states.

    Args:
      term: the losses of some positions, from the table, their states, their rows of `along`, the context
        and the number of the chunk they make up; the same function object for the same loss, not a new one
        a call.
      table: vectors of all items.
      states: of all positions.
      counted: which of them enter the sum.
      along: integer arrays with a row for each position.
      context: what all positions share and no gradient is taken of.
      positions_at_once: positions in a chunk, rounded up so that the devices that share a batch can share it;
        the positions of a batch are filled up to a multiple of it.
    """
    devices = _devices_sharing_a_batch()
    size = -(-min(positions_at_once, len(states)) // devices) * devices
    order = jnp.argsort(jnp.logical_not(counted), stable=True)
    order = jnp.pad(order, (0, -len(order) % size), constant_values=len(order))
    rows = jax.tree.map(lambda array: array.at[order].get(mode='fill', fill_value=0), (states, along))
    return _sum(term, size, table, rows[0], jnp.sum(counted), rows[1], context)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _sum(term: Term, size: int, table: Any, states: Any, count: Any, along: Any, context: Any) -> Any:
    def add(chunk: Any, total: Any) -> Any:
        part, loss = _chunk(term, size, chunk, states, count, along, context)
        return total + loss(table, part)

    return jax.lax.fori_loop(0, _chunks(count, size), add, jnp.zeros((), states.dtype))


def _forward(term: Term, size: int, table: Any, states: Any, count: Any, along: Any, context: Any) -> Any:
    def add(chunk: Any, sums: Any) -> Any:
        total, of_table, of_states = sums
        part, loss = _chunk(term, size, chunk, states, count, along, context)
        value, (more, of_part) = jax.value_and_grad(loss, argnums=(0, 1))(table, part)
        of_table = partitioning.with_sharding_constraint(of_table + more, ('vocab', 'embed'))
        of_states = jax.lax.dynamic_update_slice_in_dim(of_states, of_part, chunk * size, 0)
        return total + value, of_table, of_states

    start = (jnp.zeros((), states.dtype), jnp.zeros_like(table), jnp.zeros_like(states))
    total, of_table, of_states = jax.lax.fori_loop(0, _chunks(count, size), add, start)
    return total, (of_table, of_states)


def _backward(term: Term, size: int, kept: Any, cotangent: Any) -> Any:
    of_table, of_states = kept
    return of_table * cotangent, of_states * cotangent, None, None, None


_sum.defvjp(_forward, _backward)


def _devices_sharing_a_batch() -> int:
    (axes,) = partitioning.logical_to_mesh_axes(('batch',)) or (None,)
    sizes = jax.sharding.get_abstract_mesh().shape
    names = (axes,) if isinstance(axes, str) else axes or ()
    return math.prod(sizes.get(name, 1) for name in names)


def _chunks(count: Any, size: int) -> Any:
    return (count + size - 1) // size


def _chunk(term: Term, size: int, chunk: Any, states: Any, count: Any, along: Any, context: Any) -> Any:
    """The states of a chunk, and its loss as a function of the table and of them."""

    def cut(array: Any) -> Any:
        return jax.lax.dynamic_slice_in_dim(array, chunk * size, size)

    part = partitioning.with_sharding_constraint(cut(states), ('batch', 'embed'))
    beside = jax.tree.map(cut, along)
    counted = chunk * size + jnp.arange(size) < count

    def loss(table: Any, part: Any) -> Any:
        return jnp.sum(jnp.where(counted, term(table, part, beside, context, chunk), 0.0))

    return part, loss
