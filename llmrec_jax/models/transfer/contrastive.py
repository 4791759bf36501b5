"""In-batch contrastive loss in which one item is never its own negative (UniSRec, section 2.2).

Its views and negatives: sequences with items dropped (UniSRec, section 2.2.2), and semi-synthetic items,
true items some of whose codes are others (VQ-Rec, section 3.3).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from llmrec_jax.models.sequential.item_encoder import PADDING


def contrastive_losses(
    queries: Float[Array, 'batch dim'],
    keys: Float[Array, 'batch dim'],
    items: Int[Array, 'batch'],
    temperature: float,
    *,
    negatives: Float[Array, 'batch dim'] | None = None,
    shared_negatives: bool = False,
    valid: Bool[Array, 'batch'] | None = None,
    groups: Int[Array, 'batch'] | None = None,
) -> Float[Array, 'batch']:
    """`-log exp(q_i k_i / tau) / sum_j exp(q_i k_j / tau)` of each row, over unit vectors.

    Where two rows have the same item, the other's key is no negative: its logit is -inf. UniSRec's released
    code puts 0 in its place, which still adds exp(0) = 1 to the denominator; the more repeats in a batch, the
    more its loss is above this one.

    Args:
      queries: of any length but 0; normalised here.
      keys: the positive of each query; likewise.
      items: which item each row is about, over all domains of the batch.
      temperature: tau.
      negatives: a further key of each row, e.g. semi-synthetic items (VQ-Rec), its negative and no other's.
      shared_negatives: whether these are negatives of every row.
      valid: rows that are no padding; the others' keys are no negatives, and their losses are 0.
      groups: rows of one group are no negatives of one another, e.g. the prefixes of one sequence, whose
        targets are what the same user chose.

    Returns:
      A loss in nats for each row.
    """
    queries, keys = unit(queries), unit(keys)
    logits = queries @ keys.T / temperature
    own = jnp.eye(len(items), dtype=bool)
    masked = items[:, None] == items[None, :]
    if groups is not None:
        masked |= groups[:, None] == groups[None, :]
    if valid is not None:
        masked |= ~valid[None, :]
    positive = jnp.diagonal(logits)
    logits = jnp.where(masked & ~own, -jnp.inf, logits)
    if negatives is not None:
        further = _further(queries, unit(negatives), valid, shared_negatives) / temperature
        logits = jnp.concatenate([logits, further], axis=1)
    losses = jax.nn.logsumexp(logits, axis=1) - positive
    return losses if valid is None else jnp.where(valid, losses, 0.0)


def _further(
    queries: Float[Array, 'batch dim'],
    negatives: Float[Array, 'batch dim'],
    valid: Bool[Array, 'batch'] | None,
    shared: bool,
) -> Float[Array, 'batch columns']:
    """Similarities to the further keys: a column of each, or one column of each row's own."""
    if not shared:
        return jnp.sum(queries * negatives, axis=1, keepdims=True)
    similarities = queries @ negatives.T
    return similarities if valid is None else jnp.where(valid[None, :], similarities, -jnp.inf)


def unit(vectors: Float[Array, '*batch dim']) -> Float[Array, '*batch dim']:
    """The vectors at length 1; the zero vector, as padding has, stays, and its gradient is finite."""
    squares = jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)
    return vectors * jax.lax.rsqrt(jnp.maximum(squares, 1e-12))


def semi_synthetic_codes(
    codes: Int[Array, '*batch digits'], key: Key[Array, ''], codewords: int, probability: float = 0.75
) -> Int[Array, '*batch digits']:
    """Replaces each code, with `probability`, by one drawn uniformly from the codewords of its digit.

    Args:
      codes: of true items.
      key: of the draws.
      codewords: of each digit.
      probability: of a replacement, which may draw the code that was there.
    """
    choice_key, code_key = jax.random.split(key)
    replaced = jax.random.bernoulli(choice_key, probability, codes.shape)
    return jnp.where(replaced, jax.random.randint(code_key, codes.shape, 0, codewords), codes)


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
