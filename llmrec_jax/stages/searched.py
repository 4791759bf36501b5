"""What studies of generative retrievers have in common: they search once more, another way."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS
from llmrec_jax.stages.rank import Retrieval, TrainedRecommender, trained
from llmrec_jax.stages.semantic_ids import CODE_TABLE


@runtime_checkable
class BeamRecommender(TrainedRecommender, Protocol):
    """A recommender that answers by a beam search of codes."""

    def searching(self, beam_size: int, temperature: float = 1.0) -> 'BeamRecommender':
        """The same with another search.

        Args:
          beam_size: prefixes kept at each level; lists are at most as long.
          temperature: divides the logits before each softmax.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchStudy(Stage):
    """A stage that asks a trained generative retriever about the test users with searches of its own.

    Attributes:
      retrieval: how it answers; its recommender is a `BeamRecommender`.
      seen_items: 'kept' or 'removed'.
      seed: of the intervals.
    """

    retrieval: Retrieval
    seen_items: str
    seed: int = 0
    phase: ClassVar[Phase] = 'evaluate'
    on_all: ClassVar[bool] = True

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (SPLITS, CATALOGUE, CODE_TABLE, *self.retrieval.reads, *self.retrieval.parameters.reads)

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        self.retrieval.check(run)
        self.retrieval.parameters.check(run)

    def recommender(self, run: Run) -> BeamRecommender:
        """What is asked, with its trained parameters."""
        return trained(self.retrieval, run)
