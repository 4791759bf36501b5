"""Beam search over free text, and its diverse form."""

import dataclasses
from typing import Any, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from llmrec_jax.decoding.beam_group import BeamGroup, empty_group, grow, ranked
from llmrec_jax.decoding.generated import Generated, without_broken
from llmrec_jax.decoding.generation import Step, TextSettings, generate


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
