"""The loop of text generation: one compiled `while_loop` that ends when every row has ended.

It returns token sequences with their lengths and scores. Greedy decoding and sampling grow each text by
itself, one token a step.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.decoding.beam_search import take_beams


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
