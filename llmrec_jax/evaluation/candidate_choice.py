"""How a system chooses from candidates that are shown in a drawn order (PALR, LlamaRec).

A model that reads candidates may prefer places to items. The order is drawn, so a model without such a
preference finds the target as often wherever it stands, and names first what stands anywhere.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.measured import Tally, plain_means

NOWHERE = -1


@dataclasses.dataclass(frozen=True)
class Choices:
    """What was chosen in each case; places begin at 0, and `NOWHERE` is none of the candidates.

    Attributes:
      candidates: how many were shown.
      target: place of the target among them.
      first: place of the candidate that was named first.

    Raises:
      ValueError: when a place lies beyond the candidates.
    """

    candidates: Int[np.ndarray, 'cases']
    target: Int[np.ndarray, 'cases']
    first: Int[np.ndarray, 'cases']

    def __post_init__(self):
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


def choice_accuracy(choices: Choices, bootstrap: Bootstrap) -> dict[str, Any]:
    """How often the target is named first where it is among the candidates, beside a blind draw of one.

    Returns:
      `cases`, how many have their target among the candidates; and where there are any `accuracy`, `interval`
      and `chance`.
    """
    rows = choices.there
    if not len(rows):
        return {'cases': 0}
    right = (choices.first[rows] == choices.target[rows]).astype(np.float64)
    chance = float((1 / choices.candidates[rows]).mean())
    return {'cases': len(rows), **_with_interval('accuracy', right, bootstrap), 'chance': chance}


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
    measured = Tally({name: values}, plain_means).measured(bootstrap)
    return {name: measured.metrics[name], 'interval': list(measured.intervals[name])}
