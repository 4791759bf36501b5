"""Token cross-entropy with label smoothing and z-loss, in sums that add up over microbatches."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

NUM_REAL_TARGET_TOKENS = 'NUM_REAL_TARGET_TOKENS'
LOSS_NORMALIZING_FACTORS = (
    NUM_REAL_TARGET_TOKENS,
    'NUM_TOTAL_TARGET_TOKENS',
    'AVERAGE_PER_SEQUENCE',
)


def token_cross_entropy(
    logits: Float[Array, 'batch length vocab'],
    targets: Int[Array, 'batch length'],
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> tuple[Float[Array, 'batch length'], Float[Array, 'batch length']]:
    """Cross-entropy of each token in nats, and the z-loss of each, which is not yet part of it.

    The target distribution gives `1 - label_smoothing` to the target and shares the rest equally among the
    other tokens; its entropy is subtracted, so that a perfect prediction costs 0. The z-loss is
    `z_loss * log(Z)**2`, with Z the softmax's normalizer: it keeps the logits from drifting.
    """
    vocab = logits.shape[-1]
    log_z = jax.nn.logsumexp(logits, axis=-1)
    # A masked sum where a gather would do: a vocabulary that is sharded stays so.
    is_target = jnp.arange(vocab)[None, None, :] == targets[:, :, None]
    target_logits = jnp.sum(jnp.where(is_target, logits, 0.0), axis=-1)
    on, off = smoothed_probabilities(label_smoothing, vocab)
    expected_logits = (on - off) * target_logits
    if label_smoothing:
        expected_logits = expected_logits + off * jnp.sum(logits, axis=-1)
    entropy = -(jax.scipy.special.xlogy(on, on) + (vocab - 1) * jax.scipy.special.xlogy(off, off))
    return log_z - expected_logits - entropy, z_loss * jnp.square(log_z)


def smoothed_probabilities(label_smoothing: float, vocab: int) -> tuple[float, float]:
    """What the smoothed target distribution gives to the target and to each other token."""
    return 1.0 - label_smoothing, label_smoothing / max(vocab - 1, 1)


def token_weights(
    batch: Mapping[str, Array], loss_normalizing_factor: float | str | None
) -> Float[Array, 'batch length']:
    """The weight of each target token in the loss.

    'decoder_loss_weights', or 1 for each token that is not padding; for 'AVERAGE_PER_SEQUENCE' divided by
    their sum over the token's own example, in packed rows too.
    """
    targets = batch['decoder_target_tokens']
    weights = batch.get('decoder_loss_weights', targets > 0).astype(jnp.float32)
    if loss_normalizing_factor != 'AVERAGE_PER_SEQUENCE':
        return weights
    segments = batch.get('decoder_segment_ids', jnp.ones_like(targets))
    same_example = (segments[:, :, None] == segments[:, None, :]).astype(jnp.float32)
    example_weights = jnp.einsum('bij,bj->bi', same_example, weights)
    return jnp.where(example_weights > 0, weights / jnp.maximum(example_weights, 1e-9), 0.0)


def loss_normalizer(
    weights: Float[Array, 'batch length'], loss_normalizing_factor: float | str | None
) -> Float[Array, ''] | float:
    """What T5X divides the summed loss by."""
    if loss_normalizing_factor is None:
        return 1.0
    if loss_normalizing_factor == 'NUM_TOTAL_TARGET_TOKENS':
        return float(weights.size)
    if isinstance(loss_normalizing_factor, str):
        return jnp.sum(weights)
    return float(loss_normalizing_factor)
