"""Records of the families that know users by what they bought: sequential and direct."""

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.draws import Draws, with_negatives
from llmrec_jax.prompts.records.record_table import Records, take_rows

# P5 draws the window's start among the first three items, and shows a history of two items or more.
_STARTS, _SHORTEST = 3, 2
_FEWEST_ITEMS = 2


def distinct_items(histories: Sequences) -> Sequences:
    """The items of each row, ascending, each once: what is no negative of the user's."""
    rows = np.repeat(np.arange(len(histories)), histories.lengths)
    pairs = np.unique(np.stack([rows, histories.values]), axis=1)
    counts = np.bincount(pairs[0], minlength=len(histories))
    return Sequences(pairs[1], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def sequential_training(train: Sequences, own: Sequences, targets: int) -> Records:
    """Windows over the training histories; users of a single item have nothing to predict.

    Args:
      train: training history of each user.
      own: of each user, the items that are no negatives.
      targets: how many of the last items may be drawn as the target.
    """
    users = np.flatnonzero(train.lengths >= _FEWEST_ITEMS)
    return Records(
        {
            'user': users,
            'items': take_rows(train, users),
            'first_target': np.minimum(
                np.maximum(train.lengths[users] - targets, _SHORTEST), train.lengths[users] - 1
            ),
            'last_start': np.full(len(users), _STARTS - 1),
            'own': take_rows(own, users),
        }
    )


def sequential_cases(cases: RankingCases, own: Sequences) -> Records:
    """The whole history predicts the target; `own` as in `sequential_training`."""
    histories = cases.histories
    return Records(
        {
            'user': cases.user,
            'items': Sequences(
                np.insert(histories.values, histories.offsets[1:], cases.target),
                histories.offsets + np.arange(len(cases) + 1),
            ),
            'first_target': cases.histories.lengths.astype(np.int64),
            'last_start': np.zeros(len(cases), np.int64),
            'own': take_rows(own, cases.user),
        }
    )


def direct_training(train: Sequences, own: Sequences) -> Records:
    """Any training item is one to recommend; `own` as in `sequential_training`."""
    users = np.flatnonzero(train.lengths > 0)
    return Records(
        {
            'user': users,
            'positives': take_rows(train, users),
            'own': take_rows(own, users),
        }
    )


def direct_cases(cases: RankingCases, own: Sequences) -> Records:
    """The target is the one to recommend; `own` as in `sequential_training`."""
    return Records(
        {
            'user': cases.user,
            'positives': Sequences(cases.target, np.arange(len(cases) + 1)),
            'own': take_rows(own, cases.user),
        }
    )


def asked_candidates(cases: Records, n_items: int, *, candidates: int, seed: int) -> Records:
    """Asks about every candidate of each case by itself, to rank them by the probability of 'yes'.

    The candidates are those that the group 'direct_candidates' shows under the same seed, in the same order:
    records `case * candidates` and following are the case's.

    Args:
      cases: of `direct_cases`.
      n_items: size of the catalogue.
      candidates: how many a case has, the target among them.
      seed: of the data set.
    """
    table = {'item': np.empty(n_items, object)}
    asked, answers, users = [], [], []
    for case in cases:
        draws = Draws.of(
            NUMPY, group='direct_candidates', seed=seed, epoch=0, record=case['record'], repetition=0
        )
        target = case['positives'][0]
        items = with_negatives(target, case['own'], table, draws, candidates)
        asked.append(items)
        answers.append(items == target)
        users.append(np.full(candidates, case['user']))
    return Records(
        {
            'user': _joined(users),
            'item': _joined(asked),
            'answer': _joined(answers),
        }
    )


def _joined(parts: list[np.ndarray]) -> Int[np.ndarray, 'all']:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
