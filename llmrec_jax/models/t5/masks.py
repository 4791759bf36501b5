"""Which key positions a query may attend to; True means it may. Token 0 is padding."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

Mask = Bool[Array, 'batch 1 #query key']


def encoder_mask(
    tokens: Int[Array, 'batch length'], segment_ids: Int[Array, 'batch length'] | None = None
) -> Mask:
    """Real tokens, of the query's own segment where rows are packed.

    Queries that are padding are not masked: nothing reads what they compute.
    """
    return pair_mask(tokens > 0, segment_ids, segment_ids)


def decoder_mask(
    target_tokens: Int[Array, 'batch length'], segment_ids: Int[Array, 'batch length'] | None = None
) -> Mask:
    """Real tokens up to the query's own position, of the query's own segment where rows are packed."""
    positions = jnp.arange(target_tokens.shape[1])
    causal = jnp.expand_dims(positions[:, None] >= positions[None, :], (0, 1))
    return pair_mask(target_tokens > 0, segment_ids, segment_ids) & causal


def pair_mask(
    keys_are_real: Bool[Array, 'batch key'],
    query_segment_ids: Int[Array, 'batch query'] | None,
    key_segment_ids: Int[Array, 'batch key'] | None,
) -> Mask:
    """Real keys, of the query's own segment where segments are given."""
    mask = keys_are_real[:, None, None, :]
    if query_segment_ids is not None:
        mask = mask & (query_segment_ids[:, None, :, None] == key_segment_ids[:, None, None, :])
    return mask
