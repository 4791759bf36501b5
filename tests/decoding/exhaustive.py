"""Scoring every item of a catalogue: the exact ranking that a beam search approximates.

Costs a model step for each level of each item: for checks, and for catalogues of some thousands.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.decoding.beam_search import NO_ITEM, Beams, Step


def score_items(
    step: Step,
    state: Any,
    tokens: Int[Array, 'items levels'],
    *,
    batch_size: int,
    temperature: float = 1.0,
    start_token: int = 0,
    chunk_size: int = 1024,
) -> Float[Array, 'batch items']:
    """The log-probability of every item for every user: the score that beam search gives it, by teacher
    forcing.

    Args:
      step: the model; see `beam_search`. It is called with `chunk_size` beams, a beam an item.
      state: the model's state for one beam a user, leaves [batch, 1, ...].
      tokens: row `i` holds item `i`'s vocabulary ids.
      batch_size: number of users.
      temperature: divides the logits.
      start_token: what the model reads at position 0.
      chunk_size: items scored at once; bounds the memory.

    Raises:
      ValueError: when the catalogue or the chunk is empty or the temperature is not positive.
    """
    items, levels = tokens.shape
    if min(items, levels, chunk_size) < 1 or not temperature > 0:
        raise ValueError(
            f'items, levels, chunk_size and temperature must be positive, '
            f'got {items}, {levels}, {chunk_size}, {temperature}'
        )
    chunk_size = min(chunk_size, items)
    chunks = -(-items // chunk_size)
    # The last chunk is filled up with repeats of item 0, cut off below.
    rows = jnp.arange(chunks * chunk_size)
    chunked = tokens[jnp.where(rows < items, rows, 0)].reshape(chunks, chunk_size, levels)

    def score_chunk(chunk: Int[Array, 'chunk levels']) -> Float[Array, 'batch chunk']:
        beams = (batch_size, chunk_size)
        forced = jnp.broadcast_to(chunk[None], (batch_size, *chunk.shape))
        chunk_state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*beams, *leaf.shape[2:])), state)
        inputs = jnp.full(beams, start_token, jnp.int32)
        scores = jnp.zeros(beams, jnp.float32)
        for position in range(levels):
            logits, chunk_state = step(inputs, position, chunk_state)
            log_probs = jax.nn.log_softmax(logits.astype(jnp.float32) / temperature, axis=-1)
            inputs = forced[:, :, position]
            scores += jnp.take_along_axis(log_probs, inputs[:, :, None], axis=-1)[:, :, 0]
        return scores

    scores = jax.lax.map(score_chunk, chunked)
    return jnp.moveaxis(scores, 0, 1).reshape(batch_size, -1)[:, :items]


def rank_items(
    scores: Float[Array, 'batch items'],
    tokens: Int[Array, 'items levels'],
    *,
    beam_size: int,
    seen: Int[Array, 'batch history'] | None = None,
    allowed: Bool[Array, 'items'] | None = None,
) -> Beams:
    """The exact ranking of the items that the filters let through, in the form that a search returns.

    Of equal scores, the lower item comes first. The filters, and what NaN leads to, are those of
    `SemanticIdSearch`.
    """
    users, items = scores.shape
    broken = jnp.isnan(scores).any(axis=-1, keepdims=True)
    shown = (scores > -jnp.inf) & ~broken
    if allowed is not None:
        shown &= allowed[None, :]
    if seen is not None:
        named = jnp.where((seen >= 0) & (seen < items), seen, items)
        shown &= jnp.ones((users, items), bool).at[jnp.arange(users)[:, None], named].set(False, mode='drop')
    kept = min(beam_size, items)
    top_scores, top_items = jax.lax.top_k(jnp.where(shown, scores, -jnp.inf), kept)
    valid = top_scores > -jnp.inf
    empty = ((0, 0), (0, beam_size - kept))
    scores = jnp.pad(top_scores, empty, constant_values=-jnp.inf)
    return Beams(
        items=jnp.pad(jnp.where(valid, top_items, NO_ITEM), empty, constant_values=NO_ITEM),
        tokens=jnp.pad(jnp.where(valid[:, :, None], tokens[top_items], 0), (*empty, (0, 0))),
        scores=jnp.where(broken, jnp.nan, scores),
        valid=jnp.pad(valid, empty),
    )
