"""Beam search over texts that end where the model ends them, and its diverse form."""

import dataclasses
from typing import Any, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.decoding.beam_search import take_beams
from llmrec_jax.decoding.generation import Generated, Step, TextSettings, generate, without_broken


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


@dataclasses.dataclass(frozen=True)
class Beam(TextSettings):
    """The best `beam_size` texts that a beam search finds, ranked as transformers' `generate` ranks them.

    A text's score is its log-probability divided by its length, end token included, to the power of
    `length_penalty`. A beam's string may name anything or nothing, and two beams may have the same one: P5's
    protocol counts each of them as a rank.

    Attributes:
      beam_size: beams kept, and texts returned.
      length_penalty: 1 ranks by the mean log-probability of a token, as transformers does unless told
        otherwise; 0 by the log-probability of the text.
      min_length: tokens before the end token at least (transformers' `min_new_tokens`; its older
        `min_length` counts the start token too, so its 10 is 9 here).
    """

    beam_size: int
    length_penalty: float = 1.0
    min_length: int = 0

    def __post_init__(self):
        super().__post_init__()
        if self.beam_size < 1:
            raise ValueError(f'beam_size must be at least 1, got {self.beam_size}')
        if not 0 <= self.min_length < self.max_length:
            raise ValueError(
                f'min_length must be at least 0 and below max_length {self.max_length}, got {self.min_length}'
            )

    def __call__(self, step: Step, state: Any, *, batch_size: int, key: Array | None = None) -> Generated:
        """The texts of each row, n = `beam_size`; `key` is not read. For the others see `generate`."""
        del key
        return _search(self, step, state, batch_size, groups=1, diversity_penalty=0.0)


@dataclasses.dataclass(frozen=True)
class DiverseBeam(Beam):
    """Diverse beam search (Vijayakumar et al., https://arxiv.org/abs/1610.02424) with Hamming diversity.

    The beams form `groups` that search one after the other at each step; a token loses `diversity_penalty`
    for each beam of the groups before that has just chosen it. Losses stay in a beam's score, and the texts
    of all groups are ranked together, as in the group beam search that transformers had up to its version 4.
    A group closes by the rule of `Beam`, where transformers 4 looked one step further at times, and a closed
    group takes nothing from any token, where there it took from the padding.

    Attributes:
      groups: must divide `beam_size`.
      diversity_penalty: nats a repetition.
    """

    groups: int = 3
    diversity_penalty: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if self.groups < 1 or self.beam_size % self.groups:
            raise ValueError(f'{self.beam_size} beams do not divide into {self.groups} groups')
        if not self.diversity_penalty >= 0:
            raise ValueError(f'diversity_penalty must not be negative, got {self.diversity_penalty}')

    def __call__(self, step: Step, state: Any, *, batch_size: int, key: Array | None = None) -> Generated:
        """The texts of each row, n = `beam_size`; `key` is not read. For the others see `generate`."""
        del key
        return _search(self, step, state, batch_size, self.groups, self.diversity_penalty)


@no_type_check
@flax.struct.dataclass
class _Groups:
    """The searches of the groups, side by side."""

    groups: tuple[BeamGroup, ...]

    @property
    def ended(self) -> Bool[Array, 'batch']:
        """Whether no group of a row is open any more."""
        return ~jnp.stack([group.open for group in self.groups]).any(axis=0)


def _search(
    settings: Beam, step: Step, state: Any, batch_size: int, groups: int, diversity_penalty: float
) -> Generated:
    size = settings.beam_size // groups

    def choose(chosen, logits, position):
        log_probs = _log_probs(logits)
        if settings.min_length:
            is_end = jnp.arange(logits.shape[-1]) == settings.end_token
            closed = is_end[None, None, :] & (position < settings.min_length)
            log_probs = jnp.where(closed, -jnp.inf, log_probs)
        grown, newest, parents = [], [], []
        repeats = jnp.zeros((batch_size, logits.shape[-1]), jnp.float32)
        for number, group in enumerate(chosen.groups):
            beams = slice(number * size, (number + 1) * size)
            penalised = log_probs[:, beams]
            if number:
                penalised = penalised - diversity_penalty * repeats[:, None, :]
            grows = group.open
            group, chosen_beams = grow(
                group,
                penalised,
                position,
                end_token=settings.end_token,
                length_penalty=settings.length_penalty,
            )
            tokens = jax.lax.dynamic_index_in_dim(group.running, position, axis=2, keepdims=False)
            runs = grows[:, None] & (group.running_scores > -jnp.inf)
            repeats = repeats.at[jnp.arange(batch_size)[:, None], tokens].add(runs.astype(jnp.float32))
            grown.append(group)
            newest.append(tokens)
            parents.append(chosen_beams + number * size)
        return _Groups(tuple(grown)), jnp.concatenate(newest, axis=1), jnp.concatenate(parents, axis=1)

    empty = _Groups((empty_group(batch_size, size, settings.max_length),) * groups)
    found = generate(
        step, state, choose, empty, settings, batch_size=batch_size, beams=settings.beam_size
    ).groups
    finite = jnp.stack([group.finite for group in found]).all(axis=0)
    best = ranked([group.finished for group in found], settings.beam_size)
    return without_broken(best, jnp.broadcast_to(finite[:, None], best.scores.shape))


def _log_probs(logits: Float[Array, 'batch beam vocab']) -> Float[Array, 'batch beam vocab']:
    """Normalised `logits`, NaN throughout where they cannot be."""
    normaliser = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    return jnp.where(jnp.isfinite(normaliser), logits - normaliser, jnp.nan)
