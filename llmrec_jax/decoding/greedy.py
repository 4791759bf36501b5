"""The likeliest token at each step."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from llmrec_jax.decoding.generated import Generated
from llmrec_jax.decoding.generation import Step, TextSettings, generate
from llmrec_jax.decoding.growing_texts import append, empty_texts, finished


@dataclasses.dataclass(frozen=True)
class Greedy(TextSettings):
    """One text a row, its score the sum of its tokens' log-probabilities.

    Of equal logits the lowest token is taken.
    """

    def __call__(self, step: Step, state: Any, *, batch_size: int, key: Array | None = None) -> Generated:
        """The text of each row, n = 1; `key` is not read. For the other arguments see `generate`."""
        del key

        def choose(texts, logits, position):
            texts, newest = append(texts, jnp.argmax(logits, axis=-1), logits, position, self.end_token)
            return texts, newest, None

        empty = empty_texts(batch_size, 1, self.max_length)
        return finished(generate(step, state, choose, empty, self, batch_size=batch_size, beams=1))
