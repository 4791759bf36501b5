"""Texts that grow each by itself, one token a step: what greedy decoding and sampling keep."""

from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.decoding.generated import Generated, without_broken


@no_type_check
@flax.struct.dataclass
class GrowingTexts:
    """The texts so far.

    Attributes:
      generated: their tokens, lengths and scores, as if they ended here.
      open: whether a text goes on.
      finite: whether the logits it was drawn from could be normalised.
    """

    generated: Generated
    open: Bool[Array, 'batch n']
    finite: Bool[Array, 'batch n']

    @property
    def ended(self) -> Bool[Array, 'batch']:
        """Whether all texts of a row have ended."""
        return ~self.open.any(axis=-1)


def empty_texts(batch_size: int, n: int, max_length: int) -> GrowingTexts:
    """`n` texts a row without a token."""
    shape = (batch_size, n)
    return GrowingTexts(
        generated=Generated(
            tokens=jnp.zeros((*shape, max_length), jnp.int32),
            lengths=jnp.zeros(shape, jnp.int32),
            scores=jnp.zeros(shape, jnp.float32),
        ),
        open=jnp.ones(shape, bool),
        finite=jnp.ones(shape, bool),
    )


def append(
    texts: GrowingTexts,
    tokens: Int[Array, 'batch n'],
    logits: Float[Array, 'batch n vocab'],
    position: Int[Array, ''],
    end_token: int,
) -> tuple[GrowingTexts, Int[Array, 'batch n']]:
    """The open texts with `tokens` at their end, scored by `logits`; and what the model reads next."""
    normaliser = jax.nn.logsumexp(logits, axis=-1)
    log_probs = jnp.take_along_axis(logits, tokens[:, :, None], axis=-1)[:, :, 0] - normaliser
    finite = texts.finite & (jnp.isfinite(normaliser) | ~texts.open)
    before = texts.generated
    newest = jnp.where(texts.open, tokens, 0).astype(jnp.int32)
    generated = Generated(
        tokens=before.tokens.at[:, :, position].set(newest),
        lengths=before.lengths + texts.open,
        scores=before.scores + jnp.where(texts.open, log_probs, 0.0),
    )
    still_open = texts.open & (tokens != end_token) & finite
    return GrowingTexts(generated=generated, open=still_open, finite=finite), newest


def finished(texts: GrowingTexts) -> Generated:
    """The texts as they stand."""
    return without_broken(texts.generated, texts.finite)
