"""What a text decoder returns: token sequences with their lengths and scores."""

from typing import no_type_check

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


# jax.tree functions rebuild pytrees around whatever they map to, so the fields' types are not checked.
@no_type_check
@flax.struct.dataclass
class Generated:
    """The texts of each row as token ids: of beams best first, of samples in the order of their draws.

    Attributes:
      tokens: up to and including the end token, then padding (0); a text that was cut at the decoder's
        `max_length` has no end token.
      lengths: tokens of each text, its end token included; 0 where there is no text.
      scores: log-probability in nats, of a beam search divided by a power of the length (see `Beam`); -inf
        where there is no text. A text met by logits that were not finite has NaN, no token and length 0, and
        so has every beam beside it: a broken model never reads as an answer.
    """

    tokens: Int[Array, 'batch n length']
    lengths: Int[Array, 'batch n']
    scores: Float[Array, 'batch n']


def without_broken(generated: Generated, finite: Bool[Array, 'batch n']) -> Generated:
    """`generated` with nothing in place of the texts that are not `finite`."""
    return Generated(
        tokens=jnp.where(finite[:, :, None], generated.tokens, 0),
        lengths=jnp.where(finite, generated.lengths, 0),
        scores=jnp.where(finite, generated.scores, jnp.nan),
    )
