"""The loop of text generation: one compiled `while_loop` that ends when every row has ended."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.decoding.beam_search import take_beams

# As in `beam_search`, with a traced position.
Step = Callable[[Int[Array, 'batch beam'], Any, Any], tuple[Float[Array, 'batch beam vocab'], Any]]


class Chosen(Protocol):
    """What a chooser has gathered: a pytree."""

    @property
    def ended(self) -> Bool[Array, 'batch']:
        """Whether nothing more can be added for a row."""
        ...


# (gathered so far, logits, position) to (gathered, newest tokens, the beam that each of them continues or
# None where every beam continues itself).
Choose = Callable[
    [Any, Float[Array, 'batch beam vocab'], Int[Array, '']],
    tuple[Any, Int[Array, 'batch beam'], Int[Array, 'batch beam'] | None],
]


@dataclasses.dataclass(frozen=True)
class TextSettings:
    """What every text decoder has.

    Attributes:
      max_length: tokens generated at most, the end token included.
      end_token: ends a text; T5's </s>.
      start_token: what the decoder reads first; T5's is its padding token.
    """

    max_length: int
    end_token: int = dataclasses.field(default=1, kw_only=True)
    start_token: int = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self):
        if self.max_length < 1:
            raise ValueError(f'max_length must be at least 1 token, got {self.max_length}')
        if min(self.end_token, self.start_token) < 0 or self.end_token == self.start_token:
            raise ValueError(
                f'end_token and start_token must be two tokens, got {self.end_token}, {self.start_token}'
            )


def generate(
    step: Step,
    state: Any,
    choose: Choose,
    chosen: Any,
    settings: TextSettings,
    *,
    batch_size: int,
    beams: int,
) -> Any:
    """Drives the model until each row has ended or has `max_length` tokens.

    Args:
      step: the model; see `beam_search`. `position` is traced.
      state: the model's state for one beam a row, leaves [batch, 1, ...], with room for `max_length`
        positions.
      choose: takes the logits, picks the next tokens, and keeps what it has gathered.
      chosen: what `choose` has gathered before the first token; see `Chosen`.
      settings: the decoder's.
      batch_size: rows.
      beams: sequences a row.

    Returns:
      What `choose` gathered.
    """

    def going(carry):
        position, _, _, chosen = carry
        return (position < settings.max_length) & ~jnp.all(chosen.ended)

    def lengthen(carry):
        position, newest, state, chosen = carry
        logits, state = step(newest, position, state)
        chosen, newest, parents = choose(chosen, logits.astype(jnp.float32), position)
        if parents is not None:
            state = jax.tree.map(lambda leaf: take_beams(leaf, parents), state)
        return position + 1, newest, state, chosen

    carry = (
        jnp.zeros((), jnp.int32),
        jnp.full((batch_size, beams), settings.start_token, jnp.int32),
        jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (batch_size, beams, *leaf.shape[2:])), state),
        chosen,
    )
    return jax.lax.while_loop(going, lengthen, carry)[-1]
