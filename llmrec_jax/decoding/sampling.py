"""Texts of one token a step: the likeliest, or one drawn from the model's own distribution.

What is drawn from may be tempered and cut to its likelier tokens.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from llmrec_jax.decoding.generation import (
    Generated,
    Step,
    TextSettings,
    append,
    empty_texts,
    finished,
    generate,
)


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


@dataclasses.dataclass(frozen=True)
class Sampling(TextSettings):
    """Several texts a row, drawn token by token.

    The logits are divided by `temperature`, then cut to the `top_k` likeliest tokens, then to the fewest of
    those that hold `top_p` of what is left (Holtzman et al., https://arxiv.org/abs/1904.09751). Tokens as
    likely as the last one kept are kept too. Scores are those of the model as it is: neither temperature nor
    cut enters.

    Attributes:
      temperature: above 0; 1 leaves the distribution as it is.
      top_k: tokens kept at each step; None for all.
      top_p: in (0, 1]; 1 keeps all.
      samples: texts a row.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    samples: int = 1

    def __post_init__(self):
        super().__post_init__()
        if not self.temperature > 0:
            raise ValueError(f'temperature must be above 0, got {self.temperature}: Greedy is its limit at 0')
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f'top_k must be at least 1, or None for all tokens, got {self.top_k}')
        if not 0 < self.top_p <= 1:
            raise ValueError(f'top_p must be in (0, 1], got {self.top_p}')
        if self.samples < 1:
            raise ValueError(f'samples must be at least 1, got {self.samples}')

    def __call__(self, step: Step, state: Any, *, batch_size: int, key: Array | None = None) -> Generated:
        """`samples` texts of each row.

        Args:
          step: the model; see `generate`.
          state: the model's, for one beam a row.
          batch_size: rows.
          key: one key, or one a row. Sample `s` of a row depends on the row's key and on `s` alone, neither
            on the other rows nor on the number of samples; one key gives row `r` the key `fold_in(key, r)`.

        Raises:
          ValueError: without a key, or with one for each of another number of rows.
        """
        keys = jax.vmap(lambda row: jax.vmap(lambda s: jax.random.fold_in(row, s))(jnp.arange(self.samples)))(
            row_keys(key, batch_size)
        )

        def draw(key, logits, position):
            return jax.random.categorical(jax.random.fold_in(key, position), logits)

        def choose(texts, logits, position):
            kept = likelier_tokens(logits / self.temperature, self.top_k, self.top_p)
            tokens = jax.vmap(jax.vmap(draw, (0, 0, None)), (0, 0, None))(keys, kept, position)
            texts, newest = append(texts, tokens, logits, position, self.end_token)
            return texts, newest, None

        empty = empty_texts(batch_size, self.samples, self.max_length)
        return finished(generate(step, state, choose, empty, self, batch_size=batch_size, beams=self.samples))


def likelier_tokens(
    logits: Float[Array, '*batch vocab'], top_k: int | None, top_p: float
) -> Float[Array, '*batch vocab']:
    """`logits`, with -inf in place of the tokens that `Sampling` cuts off."""
    vocab = logits.shape[-1]
    if top_k is not None and top_k < vocab:
        least = jax.lax.top_k(logits, top_k)[0][..., -1:]
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    if top_p < 1:
        descending = jnp.sort(logits, axis=-1, descending=True)
        probabilities = jax.nn.softmax(descending, axis=-1)
        # A token is kept while those before it hold less than top_p, so the likeliest always is.
        before = jnp.cumsum(probabilities, axis=-1) - probabilities
        least = jnp.min(jnp.where(before < top_p, descending, jnp.inf), axis=-1, keepdims=True)
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    return logits


def row_keys(key: Array | None, batch_size: int) -> Key[Array, 'batch']:
    """A key a row, from one key or from one a row.

    Threefry whatever the key's own generator: what a hardware generator draws depends on the batch.

    Raises:
      ValueError: see `Sampling.__call__`.
    """
    if key is None:
        raise ValueError('Sampling draws at random: give it a key')
    words = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    keys = jax.random.wrap_key_data(words[..., :2], impl='threefry2x32')
    if keys.ndim == 0:
        return jax.vmap(lambda row: jax.random.fold_in(keys, row))(jnp.arange(batch_size))
    if keys.shape != (batch_size,):
        raise ValueError(f'{batch_size} rows need one key or one a row, got keys of shape {keys.shape}')
    return keys
