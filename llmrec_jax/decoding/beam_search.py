"""Beam search on the device: a pure function of arrays, under `jit`, without a host round trip.

The score of a sequence is the sum over its tokens of log_softmax(logits / temperature), taken over the
whole vocabulary; closing tokens does not renormalise the rest (as in transformers' beam search, so scores
compare). Of equal scores, the continuation of the better-ranked prefix comes first, then the lower token.
"""

from collections.abc import Callable
from typing import Any, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.decoding.continuations import Continuations

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


Step = Callable[[Int[Array, 'batch beam'], Any, Any], tuple[Float[Array, 'batch beam vocab'], Any]]


@no_type_check
@flax.struct.dataclass
class Prefixes:
    """The live prefixes of each user, best first.

    Attributes:
      tokens: generated so far.
      nodes: where each stands in the continuations' trie.
      scores: log-probabilities; -inf for a prefix that is not there.
      finite: whether all logits of the user's live prefixes could be normalised.
    """

    tokens: Int[Array, 'batch beam length']
    nodes: Int[Array, 'batch beam']
    scores: Float[Array, 'batch beam']
    finite: Bool[Array, 'batch']


def beam_search(
    step: Step,
    state: Any,
    continuations: Continuations,
    *,
    batch_size: int,
    beam_size: int,
    temperature: float = 1.0,
    start_token: int = 0,
    unrolled: int | None = None,
) -> Prefixes:
    """The best complete sequences, found by keeping the `beam_size` best prefixes at each step.

    Args:
      step: the model. `step(tokens, position, state)` reads the last token of each prefix and returns the
        logits of the next one and the new state. `position` is a Python int, or traced behind `unrolled`. The
        number of beams grows from 1 at position 0 to `beam_size`, so nothing is computed for prefixes that do
        not exist yet.
      state: pytree of arrays [batch, 1, ...] that follow their prefix (a key-value cache); what all beams of
        a user share belongs into `step`'s closure.
      continuations: what may follow a prefix.
      batch_size: number of users.
      beam_size: prefixes kept.
      temperature: divides the logits.
      start_token: what the model reads at position 0.
      unrolled: how many positions are compiled one by one; those behind share one loop over continuations
        that have a `tail`, which keeps the compilation of long sequences short. None for all.

    Raises:
      ValueError: when the beam or the batch is empty or the temperature is not positive.
    """
    if min(batch_size, beam_size) < 1 or not temperature > 0:
        raise ValueError(
            f'batch_size, beam_size and temperature must be positive, '
            f'got {batch_size}, {beam_size}, {temperature}'
        )
    prefixes = Prefixes(
        tokens=jnp.zeros((batch_size, 1, 0), jnp.int32),
        nodes=jnp.zeros((batch_size, 1), jnp.int32),
        scores=jnp.zeros((batch_size, 1), jnp.float32),
        finite=jnp.ones(batch_size, bool),
    )
    last_tokens = jnp.full((batch_size, 1), start_token, jnp.int32)
    steps = continuations.steps
    # A loop of one position would save nothing.
    unrolled = steps if unrolled is None or steps - unrolled < 2 else unrolled
    for position in range(unrolled):
        logits, state = step(last_tokens, position, state)
        logits = logits.astype(jnp.float32) / temperature
        prefixes, parents = _grow(prefixes, logits, position, continuations, beam_size)
        if position + 1 < steps:
            state = jax.tree.map(lambda leaf, parents=parents: take_beams(leaf, parents), state)
            last_tokens = prefixes.tokens[:, :, -1]
    if unrolled == steps:
        return prefixes

    tail = continuations.tail(unrolled)

    def lengthen(position, carried):
        prefixes, last_tokens, state = carried
        logits, state = step(last_tokens, position, state)
        logits = logits.astype(jnp.float32) / temperature
        read = prefixes.replace(tokens=prefixes.tokens[:, :, :0])
        grown, parents = _grow(read, logits, position, tail, beam_size)
        newest = grown.tokens[:, :, 0]
        tokens = take_beams(prefixes.tokens, parents).at[:, :, position].set(newest)
        state = jax.tree.map(lambda leaf: take_beams(leaf, parents), state)
        return grown.replace(tokens=tokens), newest, state

    carried = _widened(prefixes, state, steps, beam_size)
    return jax.lax.fori_loop(unrolled, steps, lengthen, carried)[0]


def _widened(
    prefixes: Prefixes, state: Any, steps: int, beam_size: int
) -> tuple[Prefixes, Int[Array, 'batch beam'], Any]:
    """The prefixes with room for all their tokens and as many as `beam_size`, those that are not there at
    -inf; their newest tokens and their state."""
    batch, beams, length = prefixes.tokens.shape
    rows = jnp.broadcast_to(jnp.minimum(jnp.arange(beam_size), beams - 1), (batch, beam_size))
    state = jax.tree.map(lambda leaf: take_beams(leaf, rows), state)
    missing = beam_size - beams
    widened = Prefixes(
        tokens=jnp.pad(prefixes.tokens, ((0, 0), (0, missing), (0, steps - length))),
        nodes=jnp.pad(prefixes.nodes, ((0, 0), (0, missing))),
        scores=jnp.pad(prefixes.scores, ((0, 0), (0, missing)), constant_values=-jnp.inf),
        finite=prefixes.finite,
    )
    return widened, widened.tokens[:, :, length - 1], state


def take_beams(leaf: Array, parents: Int[Array, 'batch beam']) -> Array:
    """Row `parents[b, i]` of each user's rows: [batch, old beams, ...] to [batch, beam, ...]."""
    if leaf.shape[1] == 1:
        return jnp.broadcast_to(leaf, (*parents.shape, *leaf.shape[2:]))
    return jax.vmap(lambda rows, index: rows.at[index].get(mode='promise_in_bounds'))(leaf, parents)


def _grow(
    prefixes: Prefixes,
    logits: Float[Array, 'batch beam vocab'],
    position: int | Int[Array, ''],
    continuations: Continuations,
    beam_size: int,
) -> tuple[Prefixes, Int[Array, 'batch kept']]:
    """The best prefixes that are one token longer, and the row that each grew from."""
    normaliser = jax.nn.logsumexp(logits, axis=-1)
    alive = prefixes.scores > -jnp.inf
    usable = alive & jnp.isfinite(normaliser)
    slot_logits = continuations.slot_logits(position, prefixes.nodes, logits)
    totals = slot_logits + (prefixes.scores - normaliser)[:, :, None]
    totals = jnp.where(usable[:, :, None], totals, -jnp.inf)

    batch, beams, slots = totals.shape
    scores, picks = jax.lax.top_k(totals.reshape(batch, beams * slots), min(beam_size, beams * slots))
    parents, picked_slots = picks // slots, picks % slots
    parent_nodes = take_beams(prefixes.nodes, parents)
    tokens, nodes = continuations.follow(position, parent_nodes, picked_slots)
    longer = jnp.concatenate([take_beams(prefixes.tokens, parents), tokens[:, :, None]], axis=-1)
    finite = prefixes.finite & (usable == alive).all(axis=-1)
    return Prefixes(tokens=longer, nodes=nodes, scores=scores, finite=finite), parents
