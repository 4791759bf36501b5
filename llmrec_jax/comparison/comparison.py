"""What a comparison found, as plain data: `comparison.json` holds it, and the page shows it."""

import dataclasses
import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_jax.comparison.agreement import shared_positions
from llmrec_jax.comparison.compared_systems import ComparedSystem, compared_systems
from llmrec_jax.comparison.costs import COSTS, costs
from llmrec_jax.comparison.finished_run import FinishedRun
from llmrec_jax.comparison.pareto import pareto_front
from llmrec_jax.evaluation.bootstrap import Bootstrap, PairedDifference
from llmrec_jax.evaluation.metrics import mean_over_cases
from llmrec_jax.evaluation.protocol import Protocol
from llmrec_jax.evaluation.report.system_names import system_label

_METRICS = ('recall', 'ndcg', 'mrr')
_BOOTSTRAP = Bootstrap()


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredSystem:
    """A system under one position of seen items.

    Attributes:
      system: which.
      metrics: what `results.json` has, its mean over seeds.
      deviations: over seeds, of the sample; empty where there is one.
      intervals: (low, high) of the metrics that are means over users; the run's own where there is one seed.
      difference: to the reference in the metric of the comparison, paired over users; None for the reference
        itself, and for bounds.
      costs: by name of the cost; None where it was not recorded.
      fronts: names of the costs for which no other system is better at as little cost.
    """

    system: ComparedSystem
    metrics: Mapping[str, float | int]
    deviations: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    difference: PairedDifference | None
    costs: Mapping[str, float | int | None]
    fronts: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What it is called."""
        return self.system.name

    @property
    def label(self) -> str:
        """How it is called on the page."""
        system = self.system.system
        return self.name.replace(system, system_label(system), 1)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            'name': self.name,
            'kind': self.system.kind,
            'runs': list(self.system.of_runs),
            'seeds': list(self.system.seeds),
            'settings': dict(self.system.settings),
            'metrics': dict(self.metrics),
            'deviations': dict(self.deviations),
            'intervals': {metric: list(ends) for metric, ends in self.intervals.items()},
            'difference': None if self.difference is None else dataclasses.asdict(self.difference),
            'costs': dict(self.costs),
            'pareto': sorted(self.fronts),
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Systems of several runs on the same users.

    Attributes:
      runs: that are compared.
      split: whose items were predicted.
      metric: that systems are held against each other by.
      reference: name of the system that all others are held against.
      systems: by position of seen items, the protocol's own first; the best first, and bounds last.
      users: how many were asked.
    """

    runs: Sequence[FinishedRun]
    split: str
    metric: str
    reference: str
    systems: Mapping[str, Sequence[MeasuredSystem]]
    users: int

    @property
    def position(self) -> str:
        """The position of seen items that is the protocol's own, or the one that all have."""
        return next(iter(self.systems))

    @property
    def trained(self) -> list[MeasuredSystem]:
        """What the runs are about, in that position, the best first."""
        return [one for one in self.systems[self.position] if one.system.kind == 'trained']

    @property
    def measured_reference(self) -> MeasuredSystem:
        """What all others are held against, in that position."""
        return next(one for one in self.systems[self.position] if one.name == self.reference)

    @property
    def protocol(self) -> dict[str, Any]:
        """The switches of the evaluation, with both positions where all were asked under both."""
        return {
            **{name: self.runs[0].results.protocol.get(name) for name in Protocol().as_dict()},
            'split': self.split,
            'seen_items': list(self.systems),
        }

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            'metric': self.metric,
            'split': self.split,
            'reference': self.reference,
            'users': self.users,
            'corpus': dict(self.runs[0].results.corpus),
            'protocol': self.protocol,
            'runs': [
                {
                    'name': run.name,
                    'system': run.system,
                    'environment': dict(run.results.environment),
                }
                for run in self.runs
            ],
            'systems': {
                position: [one.as_dict() for one in measured] for position, measured in self.systems.items()
            },
        }


def compare(
    runs: Sequence[FinishedRun],
    *,
    split: str = 'test',
    metric: str = 'ndcg@10',
    reference: str | None = None,
) -> Comparison:
    """Holds the systems of finished runs against each other.

    Args:
      runs: at least two, read from the same split.
      split: that split.
      metric: 'recall', 'ndcg' or 'mrr' at a cut-off of the runs.
      reference: name of a system; None for the best floor, or the first system where there is none.

    Raises:
      ValueError: naming what differs, when the runs cannot be compared; and when there is no such metric or
        system.
    """
    if len(runs) < 2:
        raise ValueError('a comparison takes two runs or more')
    positions = shared_positions(runs)
    _check_metric(metric, runs[0].results.protocol['ks'])
    systems = compared_systems(runs, positions)
    held_against = _reference(systems, reference, positions[0], metric)
    measured = {position: _measured(systems, held_against, position, metric) for position in positions}
    users = len(runs[0].answers[positions[0]].user)
    return Comparison(tuple(runs), split, metric, held_against.name, measured, users)


def _check_metric(metric: str, ks: Sequence[int]) -> None:
    there = [f'{name}@{k}' for k in ks for name in _METRICS]
    if metric not in there:
        raise ValueError(f'--metric={metric} is none of these runs; they have {", ".join(there)}')


def _reference(
    systems: Sequence[ComparedSystem], name: str | None, position: str, metric: str
) -> ComparedSystem:
    answering = [one for one in systems if one.values(position, metric) is not None]
    if name is None:
        floors = [one for one in answering if one.kind == 'floor']
        # Of equal ones the first.
        return max(floors, key=lambda one: one.numbers(position)[0][metric], default=answering[0])
    named = [one for one in answering if one.name == name] or [
        one for one in answering if name == one.system or (one.kind == 'trained' and name in one.of_runs)
    ]
    if len(named) != 1:
        which = 'is no system' if not named else 'is several'
        there = ', '.join(repr(one.name) for one in (named or answering))
        raise ValueError(f'--reference={name} {which}; give one of {there}')
    return named[0]


def _measured(
    systems: Sequence[ComparedSystem],
    reference: ComparedSystem,
    position: str,
    metric: str,
) -> list[MeasuredSystem]:
    others = reference.values(position, metric)
    found = []
    for system in systems:
        entries = system.numbers(position)
        if not entries:
            continue
        values = system.values(position, metric)
        difference = None
        if system is not reference and values is not None and others is not None:
            difference = _BOOTSTRAP.compare(values, others)
        metrics, deviations = _over_seeds(entries)
        found.append(
            MeasuredSystem(
                system,
                metrics,
                deviations,
                _intervals(system, position, entries),
                difference,
                costs(system, position),
            )
        )
    # A bound may have no such metric.
    found.sort(key=lambda one: (one.system.kind == 'bound', -one.metrics.get(metric, 0.0)))
    return _with_fronts(found, metric)


def _over_seeds(entries: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Means and deviations of the metrics that all entries have."""
    names = [name for name in entries[0] if '@' in name and all(name in entry for entry in entries)]
    if len(entries) == 1:
        return {name: entries[0][name] for name in names}, {}
    columns = {name: np.asarray([entry[name] for entry in entries], np.float64) for name in names}
    means = {name: mean_over_cases(column) for name, column in columns.items()}
    return means, {name: statistics.stdev(column.tolist()) for name, column in columns.items()}


def _intervals(
    system: ComparedSystem, position: str, entries: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[float, float]]:
    own = entries[0].get('intervals', {})
    if len(entries) == 1:
        return {metric: (low, high) for metric, (low, high) in own.items()}
    values = [system.values(position, metric) for metric in own]
    ends = _BOOTSTRAP.intervals(np.stack([column for column in values if column is not None], axis=1))
    return {metric: (float(low), float(high)) for metric, (low, high) in zip(own, ends)}


def _with_fronts(systems: Sequence[MeasuredSystem], metric: str) -> list[MeasuredSystem]:
    fronts: dict[str, set[str]] = {one.name: set() for one in systems}
    for kind in COSTS:
        known = [one for one in systems if one.costs[kind.name] is not None]
        sign = 1 if kind.less_is_better else -1
        on_front = pareto_front(
            np.asarray([sign * one.costs[kind.name] for one in known], np.float64),
            np.asarray([one.metrics[metric] for one in known], np.float64),
        )
        for one in itertools.compress(known, on_front):
            fronts[one.name].add(kind.name)
    return [dataclasses.replace(one, fronts=frozenset(fronts[one.name])) for one in systems]
