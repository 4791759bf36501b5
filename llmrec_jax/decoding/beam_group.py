"""One beam search over texts that end where the model ends them: its running and its finished beams."""

from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.decoding.beam_search import take_beams
from llmrec_jax.decoding.generated import Generated


@no_type_check
@flax.struct.dataclass
class BeamGroup:
    """The beams of each row.

    Attributes:
      running: tokens of the texts that go on, best first.
      running_scores: their log-probabilities; -inf for a beam that is not there.
      finished: the best texts that have ended, best first, their scores divided by the length penalty.
      open: whether a running beam may still displace a finished one.
      finite: whether the logits of the row's running beams could be normalised.
    """

    running: Int[Array, 'batch beam length']
    running_scores: Float[Array, 'batch beam']
    finished: Generated
    open: Bool[Array, 'batch']
    finite: Bool[Array, 'batch']


def empty_group(batch_size: int, beams: int, max_length: int) -> BeamGroup:
    """One running beam a row, without a token."""
    shape = (batch_size, beams)
    no_tokens = jnp.zeros((*shape, max_length), jnp.int32)
    nothing = jnp.full(shape, -jnp.inf, jnp.float32)
    return BeamGroup(
        running=no_tokens,
        running_scores=nothing.at[:, 0].set(0.0),
        finished=Generated(tokens=no_tokens, lengths=jnp.zeros(shape, jnp.int32), scores=nothing),
        open=jnp.ones(batch_size, bool),
        finite=jnp.ones(batch_size, bool),
    )


def grow(
    group: BeamGroup,
    log_probs: Float[Array, 'batch beam vocab'],
    position: Int[Array, ''],
    *,
    end_token: int,
    length_penalty: float,
) -> tuple[BeamGroup, Int[Array, 'batch beam']]:
    """One token more on every running beam of the rows that are open.

    Twice as many continuations as beams are looked at, so that as many go on however many of the best ones
    end. One that ends is finished only if it is among the first half, as in transformers. The row closes when
    its best running beam, divided by the length penalty of its length so far, is no better than the worst
    finished one (transformers' `early_stopping=False`): exact where `length_penalty` is 0, a heuristic above.

    Args:
      group: the beams.
      log_probs: of the next token; NaN where the logits could not be normalised.
      position: index of the next token.
      end_token: ends a text; so does the last position.
      length_penalty: see `Beam`.

    Returns:
      The beams, and the running beam that each of the new ones continues.
    """
    rows, beams, vocab = log_probs.shape
    alive = group.running_scores > -jnp.inf
    broken = alive & jnp.isnan(log_probs).any(axis=-1)
    totals = jnp.where(alive[:, :, None], log_probs + group.running_scores[:, :, None], -jnp.inf)
    totals = jnp.where(broken[:, :, None], -jnp.inf, totals)

    scores, picks = jax.lax.top_k(totals.reshape(rows, beams * vocab), min(2 * beams, beams * vocab))
    parents, tokens = picks // vocab, (picks % vocab).astype(jnp.int32)
    longer = take_beams(group.running, parents).at[:, :, position].set(tokens)
    length = position + 1
    running_scores, picks = jax.lax.top_k(jnp.where(tokens == end_token, -jnp.inf, scores), beams)
    penalty = length.astype(jnp.float32) ** length_penalty
    ends = (tokens == end_token) | (length == group.running.shape[-1])
    may_finish = ends & (jnp.arange(scores.shape[1]) < beams)[None, :]
    ended = Generated(
        tokens=longer,
        lengths=jnp.broadcast_to(length, scores.shape),
        scores=jnp.where(may_finish, scores / penalty, -jnp.inf),
    )
    finished = ranked([group.finished, ended], beams)
    improvable = running_scores[:, 0] / penalty > finished.scores[:, -1]
    finite = group.finite & ~broken.any(axis=-1)
    grown = BeamGroup(
        running=take_beams(longer, picks),
        running_scores=running_scores,
        finished=finished,
        open=improvable & finite,
        finite=finite,
    )
    # A row that is closed stays as it is, whoever else is in the batch.
    kept = jax.tree.map(
        lambda new, old: jnp.where(group.open.reshape(-1, *[1] * (new.ndim - 1)), new, old), grown, group
    )
    return kept.replace(open=group.open & grown.open), take_beams(parents, picks)


def ranked(parts: list[Generated], n: int) -> Generated:
    """The best `n` texts of all parts, best first; slots without a text are empty."""
    merged = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *parts)
    scores, picks = jax.lax.top_k(merged.scores, n)
    best = jax.tree.map(lambda leaf: take_beams(leaf, picks), merged)
    found = scores > -jnp.inf
    return Generated(
        tokens=jnp.where(found[:, :, None], best.tokens, 0),
        lengths=jnp.where(found, best.lengths, 0),
        scores=scores,
    )
