"""Metrics of slices of the cases: by how often training has the target, the user, or the step to the target.

A mean over all users is a mean over frequent items; what is learned of an item with three events, or of none,
shows in its slice alone. A target that followed the user's last item in somebody's training history can be
remembered; any other has to be inferred. Every slice has its number of cases and intervals, because the
slices of interest are the small ones.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.baselines.counts import item_counts, transition_counts
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.metric_estimates import Measured, MetricEstimates, plain_means
from llmrec_jax.evaluation.metrics import case_metrics

Slices = dict[str, Measured]


@dataclasses.dataclass(frozen=True)
class FrequencySlices:
    """Where the slices end.

    Attributes:
      items: frequencies of the target in training at which a new slice begins, ascending: (1, 5) gives the
        slices '0', '1-4' and '5+'.
      users: likewise of the number of the user's training events.

    Raises:
      ValueError: when the beginnings do not ascend from 1.
    """

    items: Sequence[int] = (1, 5, 10, 50)
    users: Sequence[int] = (5, 10, 20, 50)

    def __post_init__(self):
        for name in ('items', 'users'):
            starts = tuple(getattr(self, name))
            object.__setattr__(self, name, starts)
            if not starts or starts[0] < 1 or list(starts) != sorted(set(starts)):
                raise ValueError(
                    f'FrequencySlices.{name} is {starts}; slices must begin at 1 or more, ascending'
                )


def slice_names(starts: Sequence[int]) -> list[str]:
    """What the slices are called, e.g. '0', '1-4', '5+'."""
    firsts = [0, *starts]
    ranges = [
        str(first) if last == first else f'{first}-{last}'
        for first, last in zip(firsts, [start - 1 for start in starts])
    ]
    return [*ranges, f'{starts[-1]}+']


def slice_metrics(
    target_rank: Int[np.ndarray, 'cases'],
    frequency: Int[np.ndarray, 'frequencies'] | Float[np.ndarray, 'frequencies'],
    starts: Sequence[int],
    ks: Sequence[int],
    bootstrap: Bootstrap,
) -> Slices:
    """`recall@k`, `ndcg@k` and `mrr@k` of each slice, with its number of cases; empty slices are left out.

    Args:
      target_rank: as in `Recommendations.target_rank`.
      frequency: of each case, what it is sliced by.
      starts: where slices begin; see `FrequencySlices`.
      ks: cut-offs.
      bootstrap: gives the intervals, of the cases of a slice alone.

    Raises:
      ValueError: when the numbers differ or a rank is negative.
    """
    if len(target_rank) != len(frequency):
        raise ValueError(
            f'{len(frequency)} frequencies for {len(target_rank)} cases; each case needs its own'
        )
    place = np.searchsorted(np.asarray(starts), frequency, side='right')
    found = {}
    for number, name in enumerate(slice_names(starts)):
        ranks = target_rank[place == number]
        if len(ranks):
            found[name] = MetricEstimates(case_metrics(ranks, ks), plain_means).measured(bootstrap)
    return found


DEFAULT_SLICES = FrequencySlices()
_TRANSITIONS = {'0': 'new', '1+': 'known'}


def cold_start_record(
    target_rank: Int[np.ndarray, 'cases'],
    cases: RankingCases,
    train: Sequences,
    n_items: int,
    ks: Sequence[int],
    bootstrap: Bootstrap,
    slices: FrequencySlices = DEFAULT_SLICES,
) -> dict[str, dict[str, Any]]:
    """The slices as `results.json` has them.

    They are by the target's frequency ('items'), by the user's ('users'), and by whether the target came
    directly after the history's last item in training ('transitions': 'new', 'known'; new where there is no
    history).

    Args:
      target_rank: of each case.
      cases: who was asked about.
      train: training history of each user.
      n_items: size of the catalogue.
      ks: cut-offs.
      bootstrap: gives the intervals.
      slices: where they begin.

    Raises:
      ValueError: see `slice_metrics`.
    """
    before = np.zeros(len(cases))
    known = np.flatnonzero(cases.histories.lengths)
    last = cases.histories.values[cases.histories.offsets[1:][known] - 1]
    before[known] = np.asarray(transition_counts(train, n_items)[last, cases.target[known]]).reshape(-1)
    frequencies = {
        'items': (item_counts(train, n_items)[cases.target], slices.items),
        'users': (train.lengths[cases.user], slices.users),
        'transitions': (before, (1,)),
    }
    found = {
        name: {
            where: measured.as_dict()
            for where, measured in slice_metrics(target_rank, frequency, starts, ks, bootstrap).items()
        }
        for name, (frequency, starts) in frequencies.items()
    }
    return {**found, 'transitions': {_TRANSITIONS[where]: one for where, one in found['transitions'].items()}}
