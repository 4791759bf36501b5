"""How a system chooses from candidates that are shown in a drawn order (PALR, LlamaRec).

A model that reads candidates may prefer places to items. The order is drawn, so a model without such a
preference finds the target as often wherever it stands, and names first what stands anywhere.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.metric_estimates import MetricEstimates, plain_means

NOWHERE = -1


@dataclasses.dataclass(frozen=True)
class Choices:
    """What was chosen in each case; places begin at 0, and `NOWHERE` is none of the candidates.

    Attributes:
      candidates: how many were shown.
      target: place of the target among them.
      first: place of the candidate that was named first.
      named: how many of them were named, each once.
      found: whether the target was among those.

    Raises:
      ValueError: when a place lies beyond the candidates, or more are named than were shown.
    """

    candidates: Int[np.ndarray, 'cases']
    target: Int[np.ndarray, 'cases']
    first: Int[np.ndarray, 'cases']
    named: Int[np.ndarray, 'cases']
    found: Bool[np.ndarray, 'cases']

    def __post_init__(self):
        wrong = np.flatnonzero(self.named > self.candidates)
        if len(wrong):
            raise ValueError(
                f'case {wrong[0]}: {self.named[wrong[0]]} of {self.candidates[wrong[0]]} candidates are named'
            )
        for name in ('target', 'first'):
            places = getattr(self, name)
            wrong = np.flatnonzero((places < NOWHERE) | (places >= self.candidates))
            if len(wrong):
                raise ValueError(
                    f'case {wrong[0]}: the {name} stands at {places[wrong[0]]} of '
                    f'{self.candidates[wrong[0]]} candidates'
                )

    @property
    def there(self) -> Int[np.ndarray, 'there']:
        """Rows of the cases whose target is among the candidates."""
        return np.flatnonzero(self.target != NOWHERE)


def choices_of_lists(
    shown: Sequence[Int[np.ndarray, 'candidates']],
    lists: Sequence[Sequence[int]],
    targets: Int[np.ndarray, 'cases'],
) -> Choices:
    """What lists of items choose from the candidates.

    Args:
      shown: of each case, the items that were shown, in their places.
      lists: of each case, some of them, the first choice first, each once.
      targets: of each case, the item that was right; it need not be among those shown.
    """

    def place(items: np.ndarray, item: int | None) -> int:
        there = np.flatnonzero(items == item)
        return int(there[0]) if len(there) else NOWHERE

    return Choices(
        candidates=np.asarray([len(items) for items in shown]),
        target=np.asarray([place(items, target) for items, target in zip(shown, targets.tolist())]),
        first=np.asarray([place(items, row[0] if len(row) else None) for items, row in zip(shown, lists)]),
        named=np.asarray([len(row) for row in lists]),
        found=np.asarray([target in row for row, target in zip(lists, targets.tolist())]),
    )


def choice_accuracy(choices: Choices, bootstrap: Bootstrap) -> dict[str, Any]:
    """How often the target is chosen where it is among the candidates, beside what a blind draw would do.

    Returns:
      `cases`, how many have their target among the candidates; and where there are any, of these cases:
      `first`, the share whose target is named first, against `first_chance`, that of a blind draw of one
      candidate; `listed`, the share whose target is named at all, against `listed_chance`, that of a blind
      draw of as many candidates as were named; and the `intervals` of `first` and `listed`.
    """
    rows = choices.there
    if not len(rows):
        return {'cases': 0}
    counted = {
        'first': (choices.first[rows] == choices.target[rows]).astype(np.float64),
        'listed': choices.found[rows].astype(np.float64),
    }
    measured = MetricEstimates(counted, plain_means).measured(bootstrap)
    return {
        'cases': len(rows),
        'first': measured.metrics['first'],
        'first_chance': float((1 / choices.candidates[rows]).mean()),
        'listed': measured.metrics['listed'],
        'listed_chance': float((choices.named[rows] / choices.candidates[rows]).mean()),
        'intervals': {name: list(ends) for name, ends in measured.intervals.items()},
    }


def accuracy_by_position(choices: Choices, bins: int, bootstrap: Bootstrap) -> list[dict[str, Any]]:
    """Accuracy where the target stands in each part of the list, and how often that part is named first.

    Args:
      choices: of all cases.
      bins: parts of the list, as equal as whole places allow; no more than there are places.
      bootstrap: gives the intervals.

    Returns:
      A record a part: `places` (from 1, e.g. '1-10'), `cases` (whose target stands there), `accuracy` and its
      `interval` where there are any, and `named_first`, the share of all cases that name a candidate of this
      part first, against `shown`, the share of places it has.

    Raises:
      ValueError: when `bins` is below 1.
    """
    if bins < 1:
        raise ValueError(f'bins={bins} parts of a list; there must be at least 1')
    longest = int(choices.candidates.max(initial=0))
    edges = np.unique(np.linspace(0, longest, min(bins, max(longest, 1)) + 1).round().astype(np.int64))
    named = choices.first[choices.first != NOWHERE]
    records = []
    for first, end in zip(edges[:-1].tolist(), edges[1:].tolist()):
        rows = np.flatnonzero((choices.target >= first) & (choices.target < end))
        right = (choices.first[rows] == choices.target[rows]).astype(np.float64)
        here = ((named >= first) & (named < end)).mean() if len(named) else 0.0
        records.append(
            {
                'places': f'{first + 1}-{end}',
                'cases': len(rows),
                **(_with_interval('accuracy', right, bootstrap) if len(rows) else {}),
                'named_first': float(here),
                'shown': (end - first) / longest,
            }
        )
    return records


def _with_interval(name: str, values: Float[np.ndarray, 'cases'], bootstrap: Bootstrap) -> Mapping[str, Any]:
    measured = MetricEstimates({name: values}, plain_means).measured(bootstrap)
    return {name: measured.metrics[name], 'interval': list(measured.intervals[name])}
