"""Items that did not come next, drawn at random."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

FAR = jnp.iinfo(jnp.int32).max


def outside(sequences: Int[Array, 'rows width']) -> Int[Array, 'rows width']:
    """What `draw_outside` must know to draw items that are not in a sequence.

    Of the distinct items of a sequence in ascending order, item number j (from 0) leaves `item - j` others
    below it: drawing uniformly among the others is drawing one of that many numbers, and passing over the
    items on the way.

    Args:
      sequences: tokens; 0 is padding.

    Returns:
      The others below each distinct item, ascending; the largest integer in the rest of the row.
    """
    tokens = jnp.sort(jnp.where(sequences == 0, FAR, sequences), axis=1)
    repeated = jnp.pad(tokens[:, 1:] == tokens[:, :-1], ((0, 0), (1, 0)))
    distinct = jnp.sort(jnp.where(repeated, FAR, tokens), axis=1)
    below = distinct - 1 - jnp.arange(tokens.shape[1])[None, :]
    return jnp.where(distinct == FAR, FAR, below)


def draw_outside(
    key: Key[Array, ''],
    below: Int[Array, 'positions width'] | None,
    n_items: int,
    shape: tuple[int, int],
) -> Int[Array, 'positions negatives']:
    """Items drawn uniformly, for each position on its own.

    Args:
      key: of the draws.
      below: of each position's sequence, as `outside` gives it; None to draw from the whole catalogue.
        Where a sequence holds the whole catalogue, the last item is drawn.
      n_items: size of the catalogue.
      shape: positions and negatives of each.
    """
    if below is None:
        return jax.random.randint(key, shape, 0, n_items)
    others = n_items - jnp.sum(below != FAR, axis=1, keepdims=True)
    drawn = jax.random.randint(key, shape, 0, jnp.maximum(others, 1))
    passed = jnp.sum(below[:, None, :] <= drawn[:, :, None], axis=-1)
    return jnp.minimum(drawn + passed, n_items - 1)


def draw_shared(
    key: Key[Array, ''], probabilities: Float[Array, 'items'], negatives: int
) -> Int[Array, 'negatives']:
    """Items drawn with replacement by their probabilities."""
    cumulative = jnp.cumsum(probabilities)
    found = jnp.searchsorted(cumulative, jax.random.uniform(key, (negatives,)) * cumulative[-1], side='right')
    return jnp.minimum(found, len(probabilities) - 1)
