"""Search over a catalogue whose ids are words: names of different lengths, each ended by the end token."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int

from llmrec_jax.decoding.beam_search import Beams, Step, beam_search
from llmrec_jax.decoding.semantic_id_search import catalogue_continuations, check_search, named_items
from llmrec_jax.semantic_ids.trie import PAD, AllowedItems, Trie

# The first levels are where names part and beams grow in number.
UNROLLED = 3


@dataclasses.dataclass(frozen=True)
class NameSearch:
    """Beam search in the trie of a catalogue's names (`name_trie`): every beam is an item's name.

    The score of an item is the log-probability of its name and the end token, whatever its length. The
    published protocol, in which beams are free text and those that name nothing keep their rank, is
    `EncoderDecoderModel.generate` with `Beam`.

    Attributes:
      beam_size: prefixes kept at each step, and items returned.
      temperature: divides the logits before the softmax.
      end_token: the one that the trie was built with.
      start_token: what the decoder reads first; T5's is its padding token.
    """

    beam_size: int = 20
    temperature: float = 1.0
    end_token: int = 1
    start_token: int = 0

    def __post_init__(self):
        check_search(self.beam_size, self.temperature)

    def __call__(
        self,
        step: Step,
        state: Any,
        *,
        batch_size: int,
        trie: Trie,
        seen: Int[Array, 'batch history'] | None = None,
        allowed: AllowedItems | None = None,
        candidates: Int[Array, 'batch candidates'] | None = None,
    ) -> Beams:
        """The best items of each user; see `SemanticIdSearch`."""
        prefixes = beam_search(
            padded_after_end(step, self.end_token),
            state,
            catalogue_continuations(trie, seen, allowed, candidates),
            batch_size=batch_size,
            beam_size=self.beam_size,
            temperature=self.temperature,
            start_token=self.start_token,
            unrolled=UNROLLED,
        )
        return named_items(prefixes, trie, self.beam_size)


def padded_after_end(step: Step, end_token: int) -> Step:
    """`step`, with padding as the one thing that can follow the end token, and at no cost."""

    def padded(newest, position, state):
        logits, state = step(newest, position, state)
        # At position 0 the newest token is the start token, which T5 spells as it spells padding.
        ended = (newest == end_token) | ((newest == PAD) & (position > 0))
        only_padding = jnp.where(jnp.arange(logits.shape[-1]) == PAD, 0.0, -jnp.inf).astype(logits.dtype)
        return jnp.where(ended[:, :, None], only_padding[None, None, :], logits), state

    return padded
