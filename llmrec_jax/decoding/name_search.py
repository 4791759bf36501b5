"""Search over a catalogue whose ids are words: names of different lengths, each ended by the end token."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int

from llmrec_jax.decoding.beam_search import Step
from llmrec_jax.decoding.beams import Beams
from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.semantic_ids.name_trie import PAD
from llmrec_jax.semantic_ids.trie import AllowedItems, Trie


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
        self._search()

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
        return self._search()(
            padded_after_end(step, self.end_token),
            state,
            batch_size=batch_size,
            trie=trie,
            seen=seen,
            allowed=allowed,
            candidates=candidates,
        )

    def _search(self) -> SemanticIdSearch:
        return SemanticIdSearch(
            beam_size=self.beam_size, temperature=self.temperature, start_token=self.start_token
        )


def padded_after_end(step: Step, end_token: int) -> Step:
    """`step`, with padding as the one thing that can follow the end token, and at no cost."""

    def padded(newest, position, state):
        logits, state = step(newest, position, state)
        if position == 0:
            return logits, state
        ended = (newest == end_token) | (newest == PAD)
        only_padding = jnp.where(jnp.arange(logits.shape[-1]) == PAD, 0.0, -jnp.inf).astype(logits.dtype)
        return jnp.where(ended[:, :, None], only_padding[None, None, :], logits), state

    return padded
