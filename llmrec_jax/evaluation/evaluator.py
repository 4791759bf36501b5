"""Evaluates named systems on the same cases under one protocol."""

import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.catalogue_metrics import Catalogue
from llmrec_jax.evaluation.metrics import case_metrics, mean_over_cases
from llmrec_jax.evaluation.protocol import Protocol
from llmrec_jax.evaluation.recommendations import Recommendations
from llmrec_jax.evaluation.recommender import Recommender


@dataclasses.dataclass(frozen=True)
class SystemResult:
    """What one system reached.

    Attributes:
      name: the system's name in results and report.
      protocol: how it was evaluated.
      recommendations: lists of the protocol's deepest cut-off, and the rank of every target.
      metrics: means over users of `recall@k`, `ndcg@k`, `mrr@k`, and the metrics of `Catalogue.metrics`.
      intervals: (low, high) of each metric that is a mean over users.
      seconds: wall time of recommending.
    """

    name: str
    protocol: Protocol
    recommendations: Recommendations
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The system's entry in `results.json`."""
        return {
            **self.metrics,
            'intervals': {name: list(ends) for name, ends in self.intervals.items()},
            'users': len(self.recommendations),
            'users_per_second': len(self.recommendations) / max(self.seconds, 1e-9),
            'seconds': self.seconds,
        }


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Evaluates systems under one protocol.

    Attributes:
      protocol: the switches.
      catalogue: what is known of the items; None leaves coverage, popularity and diversity out.
      bootstrap: how intervals and paired comparisons are drawn.
    """

    protocol: Protocol = dataclasses.field(default_factory=Protocol)
    catalogue: Catalogue | None = None
    bootstrap: Bootstrap = dataclasses.field(default_factory=Bootstrap)

    def evaluate(self, name: str, recommender: Recommender, cases: RankingCases) -> SystemResult:
        """Asks the system for its lists, and judges them.

        Raises:
          ValueError: naming the system, when it fails on the cases, gives NaN scores, or answers for another
            number of cases.
        """
        started = time.perf_counter()
        try:
            found = recommender.recommend(cases, self.protocol.max_k, seen_items=self.protocol.seen_items)
        except ValueError as error:
            raise ValueError(f'system {name!r}: {error}') from error
        return self.judge(name, found, cases, time.perf_counter() - started)

    def judge(self, name: str, found: Recommendations, cases: RankingCases, seconds: float) -> SystemResult:
        """Judges lists that were made in `seconds` of wall time.

        Raises:
          ValueError: when the lists are for another number of cases.
        """
        if len(found) != len(cases):
            raise ValueError(f'system {name!r} answered for {len(found)} of {len(cases)} cases')
        found = found.top(self.protocol.max_k)
        values = case_metrics(found.target_rank, self.protocol.ks)
        ends = self.bootstrap.intervals(np.stack(list(values.values()), axis=1))
        means = {metric: mean_over_cases(column) for metric, column in values.items()}
        if self.catalogue is not None:
            means |= self.catalogue.metrics(found.items, self.protocol.max_k)
        intervals = {metric: (float(low), float(high)) for metric, (low, high) in zip(values, ends)}
        return SystemResult(name, self.protocol, found, means, intervals, seconds)

    def compare(
        self, systems: Sequence[SystemResult], metrics: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Compares every two systems over the same users, as entries of `results.json`'s `comparisons`.

        Args:
          systems: results of this evaluator on the same cases; the first of a pair is the one given first.
          metrics: names as in `metrics.case_metrics`; None for recall and ndcg at the deepest cut-off.
        """
        if metrics is None:
            metrics = (f'recall@{self.protocol.max_k}', f'ndcg@{self.protocol.max_k}')
        values = {
            system.name: case_metrics(system.recommendations.target_rank, self.protocol.ks)
            for system in systems
        }
        return [
            {
                'system': one,
                'other': other,
                'metric': metric,
                'split': self.protocol.split,
                'seen_items': self.protocol.seen_items,
                **dataclasses.asdict(self.bootstrap.compare(values[one][metric], values[other][metric])),
            }
            for one, other in itertools.combinations(values, 2)
            for metric in metrics
        ]
