"""Stages that rank targets among drawn items, apart from the whole catalogue.

Of baselines and trained models that score every item. A retriever that is served from an index is asked for
its towers' exact inner products, not for what the index finds.
"""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from llmrec_jax.evaluation.baselines.counted import BASELINES
from llmrec_jax.evaluation.baselines.counts import item_counts
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.recommender import CandidateRecommender, DenseRecommender
from llmrec_jax.evaluation.sampled_protocol import SampledProtocol, sampled_record
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages import rank
from llmrec_jax.stages.baselines import fitted
from llmrec_jax.stages.catalogue_ranking import CatalogueRetrieval, TowerScores
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS


class SampledStage(Stage):
    """A stage whose systems rank each target among drawn items.

    Attributes:
      protocols: how items are drawn.
      seed: of the bootstrap.
      cases_at_once: whose scores of the whole catalogue are held at once; None for about a million scores.
    """

    protocols: tuple[SampledProtocol, ...]
    seed: int

    @property
    def cases_at_once(self) -> int | None:
        """See the class."""
        return None

    @abc.abstractmethod
    def systems(self, run: Run) -> Mapping[str, CandidateRecommender]:
        """What is asked, by name."""

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        splits, systems = run[SPLITS], self.systems(run)
        counts = item_counts(splits.train, len(run[CATALOGUE]))
        bootstrap = Bootstrap(seed=self.seed)
        return {
            'protocols': [
                sampled_record(protocol, systems, splits, counts, bootstrap, self.cases_at_once)
                for protocol in self.protocols
            ]
        }


@dataclasses.dataclass(frozen=True)
class MeasureSampledBaselines(SampledStage):
    """The systems that only count.

    It comes before any training, so that a protocol that wants more items than there are is told at once.

    Attributes:
      protocols: see `SampledStage`.
      seed: see `SampledStage`.
      baselines: see `MeasureBaselines`.
    """

    protocols: tuple[SampledProtocol, ...]
    seed: int
    baselines: tuple[str, ...] = BASELINES
    name: ClassVar[str] = 'sampled_floors'
    phase: ClassVar[Phase] = 'evaluate'
    reads: ClassVar = (SPLITS, CATALOGUE)

    def systems(self, run: Run) -> Mapping[str, DenseRecommender]:
        """See `SampledStage.systems`."""
        return fitted(run, self.baselines)


@dataclasses.dataclass(frozen=True)
class MeasureSampled(SampledStage):
    """The trained model, with the parameters that are evaluated on the whole catalogue.

    Attributes:
      system: what it is called.
      retrieval: how it answers.
      protocols: see `SampledStage`.
      seed: see `SampledStage`.
    """

    system: str
    retrieval: CatalogueRetrieval
    protocols: tuple[SampledProtocol, ...]
    seed: int
    name: ClassVar[str] = 'sampled'
    phase: ClassVar[Phase] = 'evaluate'
    on_all: ClassVar[bool] = True

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (SPLITS, CATALOGUE, *self.retrieval.reads, *self.retrieval.parameters.reads)

    @property
    def cases_at_once(self) -> int:
        """See `SampledStage`."""
        return self.retrieval.batch_size

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        self.retrieval.check(run)
        self.retrieval.parameters.check(run)

    def systems(self, run: Run) -> Mapping[str, DenseRecommender]:
        """See `SampledStage.systems`."""
        return {self.system: TowerScores(rank.trained(self.retrieval, run))}
