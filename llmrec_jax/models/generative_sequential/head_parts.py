"""What heads of all kinds are made of: their parameters' names, dropout, and queries from states."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from llmrec_jax.models.dropout import DIGITS, kept, kept_of

# Parameters of all levels, level first; or those of one.
Heads = Mapping[str, Any]
EPSILON = 1e-6


class Masks(NamedTuple):
    """What dropout multiplies the heads' inner vectors by.

    Attributes:
      read: of the states that the MLPs read.
      inner: between the MLPs' two maps.
    """

    read: Float[Array, 'levels positions dim']
    inner: Float[Array, 'levels positions hidden']


def drawn_masks(heads: Heads, positions: int, rate: float, key: Key[Array, ''] | None) -> Masks | None:
    """Dropout of all levels in one draw; None for none.

    Args:
      heads: the parameters.
      positions: how many states.
      rate: share that is set to zero.
      key: of the draw; None for no dropout.
    """
    if key is None or not rate:
        return None
    levels, dim, hidden = heads['wi'].shape
    share = kept_of(rate)
    drawn = kept(key, share, (levels, positions, dim + hidden)) * (2**DIGITS / share)
    return Masks(drawn[..., :dim], drawn[..., dim:])


def level_of(heads: Heads, level: int) -> Heads:
    """The parameters of one level."""
    return {name: array[level] for name, array in heads.items() if name != 'codes'}


def moved_states(
    heads: Heads,
    level: int,
    states: Float[Array, '*batch dim'],
    codes: Sequence[Int[Array, '*batch']],
    shown: Bool[Array, 'above *batch'] | None = None,
) -> Float[Array, '*batch dim']:
    """The states moved by the codes above a level.

    Args:
      heads: the parameters of all levels.
      level: which.
      states: of the histories.
      codes: of the levels above, first level first.
      shown: which of them move the states; None for all.
    """
    widest = heads['words'].shape[1]
    first = level * (level - 1) // 2
    for above, code in enumerate(codes):
        moves = heads['codes'].at[(first + above) * widest + code].get(mode='clip')
        states = states + (moves if shown is None else jnp.where(shown[above][..., None], moves, 0.0))
    return states


def queries(
    head: Heads, moved: Float[Array, '*batch positions dim'], masks: Masks | None = None
) -> Float[Array, '*batch positions out_plus_1']:
    """What nodes' vectors are multiplied by, their bias by 1.

    Args:
      head: parameters of one level, or of all.
      moved: states moved by codes; of all levels, level first.
      masks: of dropout; None for none.
    """
    normed = _normed(moved, head['norm'])
    normed = normed if masks is None else normed * masks.read
    inner = jax.nn.gelu(normed @ head['wi'] + head['wi_bias'][..., None, :])
    inner = inner if masks is None else inner * masks.inner
    asked = _normed(moved + inner @ head['wo'], head['out_norm']) @ head['query']
    return jnp.concatenate([asked, jnp.ones_like(asked[..., :1])], axis=-1)


def _normed(
    states: Float[Array, '*batch positions dim'], scale: Float[Array, '*levels dim']
) -> Float[Array, '*batch positions dim']:
    centred = states - jnp.mean(states, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + EPSILON) * scale[..., None, :]
