"""Second views of a sequence for sequence-sequence contrast (UniSRec, section 2.2.2)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from llmrec_jax.models.sequential.item_encoder import PADDING


def drop_items(
    tokens: Int[Array, 'batch length'], key: Key[Array, ''], probability: float
) -> Int[Array, 'batch length']:
    """Takes each item out of its sequence with `probability`; what is left closes up to the right.

    A sequence keeps its newest item where it would lose all.

    Args:
      tokens: padded on the left.
      key: of the draws.
      probability: of dropping an item.
    """
    kept = ~jax.random.bernoulli(key, probability, tokens.shape) & (tokens != PADDING)
    kept = kept.at[:, -1].set(kept[:, -1] | ~jnp.any(kept, axis=1))
    order = jnp.argsort(kept, axis=1, stable=True)
    return jnp.take_along_axis(jnp.where(kept, tokens, PADDING), order, axis=1)
