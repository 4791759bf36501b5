"""What a search returns: items with their scores, and which slots hold one."""

from typing import no_type_check

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

NO_ITEM = -1


# jax.tree functions rebuild pytrees around whatever they map to, so the fields' types are not checked.
@no_type_check
@flax.struct.dataclass
class Beams:
    """The best items of each user, best first; slots without an item come last.

    Attributes:
      items: item indices, all different within a user; -1 where the slot is not valid.
      tokens: the generated sequence. In a slot without an item: what the unconstrained search made up there,
        or zeros where nothing was left to generate.
      scores: log-probability of the sequence, descending; -inf where the slot is not valid. A user whose
        logits were not finite has NaN in every slot and no valid one: a broken model never reads as a
        ranking.
      valid: whether the slot holds an item.
    """

    items: Int[Array, 'batch beam']
    tokens: Int[Array, 'batch beam levels']
    scores: Float[Array, 'batch beam']
    valid: Bool[Array, 'batch beam']


def invalid_rate(beams: Beams) -> Float[Array, 'batch']:
    """Share of each user's slots that hold no item (TIGER, section 4.5, of unconstrained decoding)."""
    return 1 - jnp.mean(beams.valid, axis=-1, dtype=jnp.float32)
