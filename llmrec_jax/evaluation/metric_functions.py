"""Metric functions of SeqIO tasks, and how far what they give could be off.

SeqIO tells metrics of predictions from metrics of scores by the names of a function's positional arguments.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.metric_estimates import Measured, MetricEstimates, plain_means

MetricFn = Callable[..., Mapping[str, float]]
Judge = Callable[[Sequence[Any], Sequence[Any]], MetricEstimates]


@dataclasses.dataclass(frozen=True)
class OfPredictions:
    """A metric function that judges what was predicted.

    Attributes:
      judge: gives estimates of targets and predictions.
    """

    judge: Judge

    def __call__(self, targets: Sequence[Any], predictions: Sequence[Any]) -> dict[str, float]:
        """The metrics."""
        return self.judge(targets, predictions).metrics()


@dataclasses.dataclass(frozen=True)
class OfScores:
    """A metric function that judges the log-likelihoods of targets.

    Attributes:
      judge: gives estimates of targets and scores.
    """

    judge: Judge

    def __call__(self, targets: Sequence[Any], scores: Sequence[Any]) -> dict[str, float]:
        """The metrics."""
        return self.judge(targets, scores).metrics()


@dataclasses.dataclass(frozen=True)
class MeasuredTask:
    """What was reached on a SeqIO task, and what its baselines reach on the same examples.

    Attributes:
      measured: the model's metrics.
      floors: those of each baseline.
    """

    measured: Measured
    floors: Mapping[str, Measured]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        floors = {name: floor.as_dict() for name, floor in self.floors.items()}
        return {**self.measured.as_dict(), 'floors': floors}

    def lines(self) -> list[str]:
        """In words, a line for the model and one for each baseline."""
        baselines = [f'{name}: {_in_words(floor)}' for name, floor in self.floors.items()]
        return [f'{self.measured.examples} examples: {_in_words(self.measured)}', *baselines]


def measured(
    judged: Sequence[tuple[MetricFn, Sequence[Any]]], targets: Sequence[Any], bootstrap: Bootstrap
) -> Measured:
    """What metric functions give, with percentile intervals over examples.

    A function has intervals where it is one of this module, or where what it gives is the mean of what it
    gives for each example alone. Other metrics, such as an area under a curve, have none.

    Args:
      judged: each function, and the predictions or scores that it judges.
      targets: the right answers.
      bootstrap: how resampling is done.
    """
    metrics: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for function, answers in judged:
        if isinstance(function, OfPredictions | OfScores):
            found = function.judge(targets, answers).measured(bootstrap)
        else:
            found = _of_any(function, targets, answers, bootstrap)
        metrics |= found.metrics
        intervals |= found.intervals
    return Measured(metrics, intervals, len(targets))


def _of_any(
    function: MetricFn, targets: Sequence[Any], answers: Sequence[Any], bootstrap: Bootstrap
) -> Measured:
    whole = {name: float(value) for name, value in function(targets, answers).items()}
    columns = {
        name: column
        for name, column in _of_each(function, targets, answers).items()
        if name in whole and np.isclose(column.mean(), whole[name], rtol=1e-5, atol=1e-9)
    }
    if not columns:
        return Measured(whole, {}, len(targets))
    estimates = MetricEstimates(columns, plain_means)
    return Measured(whole, estimates.measured(bootstrap).intervals, len(targets))


def _of_each(
    function: MetricFn, targets: Sequence[Any], answers: Sequence[Any]
) -> dict[str, Float[np.ndarray, 'examples']]:
    """What a function gives for each example alone; nothing where it cannot judge one alone."""
    try:
        rows = [dict(function([target], [answer])) for target, answer in zip(targets, answers, strict=True)]
        columns = {
            name: np.asarray([row[name] for row in rows], np.float64)
            for name in rows[0]
            if all(name in row for row in rows)
        }
    # A function of a user's own may raise anything where it is given less than it was written for.
    except Exception:
        return {}
    return {name: column for name, column in columns.items() if np.isfinite(column).all()}


def _in_words(found: Measured) -> str:
    told = []
    for name, value in sorted(found.metrics.items()):
        ends = found.intervals.get(name)
        told.append(f'{name} {value:.4f}' + (f' [{ends[0]:.4f}, {ends[1]:.4f}]' if ends else ''))
    return ', '.join(told)
