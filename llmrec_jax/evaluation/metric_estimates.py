"""Metrics as functions of means over examples, so that values and intervals come from the same columns."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.metrics import mean_over_cases

Means = Mapping[str, Float[np.ndarray, 'resamples']]


@dataclasses.dataclass(frozen=True)
class Measured:
    """Values and how far they could be off.

    Attributes:
      metrics: value by name.
      intervals: (low, high) by name; a metric that is no function of means over examples has none.
      examples: how many there were.
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    examples: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: the values by name, and `intervals` and `examples` beside them."""
        return {
            **self.metrics,
            'intervals': {name: list(ends) for name, ends in self.intervals.items()},
            'examples': self.examples,
        }

    def renamed(self, rename: Callable[[str], str]) -> 'Measured':
        """The same with other names of metrics."""
        metrics, intervals = (
            {rename(name): value for name, value in values.items()}
            for values in (self.metrics, self.intervals)
        )
        return Measured(metrics, intervals, self.examples)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> 'Measured':
        """Reads what `as_dict` gave.

        Raises:
          ValueError: when `intervals` or `examples` is missing.
        """
        absent = {'intervals', 'examples'} - values.keys()
        if absent:
            raise ValueError(f'measured values lack {min(absent)!r}; there are {sorted(values)}')
        named = {name: value for name, value in values.items() if name not in ('intervals', 'examples')}
        ends = {name: (float(low), float(high)) for name, (low, high) in values['intervals'].items()}
        return cls(named, ends, int(values['examples']))


@dataclasses.dataclass(frozen=True)
class MetricEstimates:
    """What was counted of each example, and the metrics that follow.

    Attributes:
      columns: values of each example, of one length.
      of_means: gives the metrics from the means of the columns, given in one or several resamples. It gives
        NaN for what is not defined, such as the error over parsed answers where none was parsed.
      whole: metrics that are no functions of means, such as an area under a curve.

    Raises:
      ValueError: when there are no examples or the columns differ in length.
    """

    columns: Mapping[str, Float[np.ndarray, 'examples']]
    of_means: Callable[[Means], dict[str, Float[np.ndarray, 'resamples']]]
    whole: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) != 1:
            raise ValueError(f'columns of estimates are of {sorted(lengths)} examples; they must be as many')
        if lengths == {0}:
            raise ValueError('there are no examples to measure')

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def metrics(self) -> dict[str, float]:
        """Every metric that is defined, by name."""
        means = {name: np.asarray([mean_over_cases(column)]) for name, column in self.columns.items()}
        values = {name: float(value[0]) for name, value in self.of_means(means).items()}
        return {name: value for name, value in values.items() if np.isfinite(value)} | dict(self.whole)

    def measured(self, bootstrap: Bootstrap) -> Measured:
        """The metrics with percentile intervals over examples."""
        metrics = self.metrics()
        resampled = bootstrap.means(np.stack(list(self.columns.values()), axis=1))
        drawn = self.of_means({name: resampled[:, place] for place, name in enumerate(self.columns)})
        intervals = {}
        for name, values in drawn.items():
            defined = values[np.isfinite(values)]
            if name in metrics and len(defined):
                intervals[name] = bootstrap.ends(defined)
        return Measured(metrics, intervals, len(self))


def plain_means(means: Means) -> dict[str, Float[np.ndarray, 'resamples']]:
    """The metrics of estimates whose columns are the metrics."""
    return dict(means)
