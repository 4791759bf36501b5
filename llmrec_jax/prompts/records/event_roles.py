"""Which events training may show: one mask for the prompts of every family."""

import dataclasses

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import Splits

ROLES = ('train', 'validation', 'test')
TRAIN, VALIDATION, TEST = range(3)


def leave_last_out_roles(corpus: Corpus, splits: Splits) -> Int[np.ndarray, 'events']:
    """The role of each event under the split that ranks: what `splits` holds out, no family shows."""
    offsets = corpus.user_offsets
    kept = splits.train.lengths
    position = np.arange(len(corpus.events)) - np.repeat(offsets[:-1], np.diff(offsets))
    held_out = position - kept[corpus.events.user]
    return np.clip(held_out + 1, TRAIN, TEST).astype(np.int64)


def random_roles(
    corpus: Corpus, seed: int, validation: float = 0.1, test: float = 0.1
) -> Int[np.ndarray, 'events']:
    """Random roles, each user and each item kept in training (P5's split of ratings, reviews, explanations).

    It knows nothing of the leave-last-out split, so most of what that holds out is shown; see `overlap`.

    Args:
      corpus: its events.
      seed: of the draw.
      validation: share of all events; fewer where that would take a user's or an item's only one.
      test: likewise, drawn first.

    Raises:
      ValueError: when the shares are negative or leave nothing to train on.
    """
    if min(validation, test) < 0 or validation + test >= 1:
        raise ValueError(f'shares of {validation} and {test} leave nothing to train on')
    events = corpus.events
    order = np.random.default_rng(seed).permutation(len(events))
    kept = np.zeros(len(events), bool)
    for column in (events.user, events.item):
        kept[order[np.unique(column[order], return_index=True)[1]]] = True
    free = order[~kept[order]]
    tests = round(test * len(events))
    roles = np.full(len(events), TRAIN, np.int64)
    roles[free[:tests]] = TEST
    roles[free[tests : tests + round(validation * len(events))]] = VALIDATION
    return roles


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How much of what ranking holds out is shown in training by another family.

    Attributes:
      validation: share of the validation pairs (user, item) of ranking that are shown.
      test: share of its test pairs.
    """

    validation: float
    test: float


def overlap(corpus: Corpus, splits: Splits, roles: Int[np.ndarray, 'events']) -> Overlap:
    """Counts the events that `splits` holds out and `roles` trains on (papers: P5's cross-task leak)."""
    ranking = leave_last_out_roles(corpus, splits)
    shown = {
        role: float((roles[ranking == role] == TRAIN).mean()) if (ranking == role).any() else 0.0
        for role in (VALIDATION, TEST)
    }
    return Overlap(validation=shown[VALIDATION], test=shown[TEST])
