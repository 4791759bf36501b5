"""The network over a run's catalogue, whose size and texts no recipe can say."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from llmrec_jax.evaluation.baselines.counts import item_counts
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS


@dataclasses.dataclass(frozen=True)
class CatalogueNetwork:
    """A sequential recommender, completed by the catalogue that it ranks; see `networks.Network`.

    Attributes:
      recipe: the model, which names no catalogue.
      vectors: embeddings of the items' text, where the item encoder reads them.
    """

    recipe: SequentialRecommenderModel
    vectors: Artifact[np.ndarray] | None = None
    # What transfer learning knows of codes lies among its parameters.
    codes: ClassVar[Artifact[CodeTable] | None] = None

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `networks.Network`."""
        return (SPLITS, CATALOGUE, *(() if self.vectors is None else (self.vectors,)))

    def model(self, run: Run) -> SequentialRecommenderModel:
        """See `networks.Network`."""
        return self.recipe.for_catalogue(self.facts(run))

    def facts(self, run: Run) -> CatalogueFacts:
        """What is known of the run's catalogue."""
        n_items = len(run[CATALOGUE])
        vectors = None if self.vectors is None else run[self.vectors]
        return CatalogueFacts(n_items, item_counts(run[SPLITS].train, n_items), vectors)

    def trained_part(self) -> Any:
        """See `networks.Network`; all of it is trained."""
        return self
