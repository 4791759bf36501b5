"""The index of the item tower's vectors: how it is built, and what asks it."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array, Float, Float32, Int, PyTree

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.recommendations import Recommendations
from llmrec_jax.evaluation.retrieval_recommender import RetrievalRecommender
from llmrec_jax.evaluation.serving import built_index
from llmrec_jax.retrieval.index_choice import IndexChoice, load_index
from llmrec_jax.retrieval.retriever import Requests, VectorIndex
from llmrec_jax.retrieval.scann_index import ScannIndex
from llmrec_jax.retrieval.vector_retriever import VectorRetriever
from llmrec_jax.runs.artifact import Artifact, array_artifact, place
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.catalogue_ranking import CatalogueRecommender, CatalogueRetrieval
from llmrec_jax.stages.corpus import SPLITS, CaseDraw
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.stages.rank import trained
from llmrec_jax.training import processes

# Row `i` is the item tower's vector of item `i`; float32 [items, dim].
TOWER_VECTORS: Artifact[np.ndarray] = array_artifact('retrieval/item_vectors.npy')
INDEX = place('retrieval/index')


@dataclasses.dataclass(frozen=True)
class BuildIndex(Stage):
    """Exports the item tower's vectors and builds their index, tuned with the validation users' queries.

    Attributes:
      tower: the two sides.
      index: which index.
      draw: the validation users.
    """

    tower: CatalogueRetrieval
    index: IndexChoice
    draw: CaseDraw
    name: ClassVar[str] = 'index'
    phase: ClassVar[Phase] = 'evaluate'
    on_all: ClassVar[bool] = True
    writes: ClassVar = (TOWER_VECTORS, INDEX)

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (SPLITS, *self.tower.reads, *self.tower.parameters.reads)

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        self.tower.check(run)
        self.tower.parameters.check(run)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        tower: CatalogueRecommender = trained(self.tower, run)
        vectors = tower.item_vectors()
        queries = tower(Requests(self.draw.cases(run[SPLITS], 'validation').histories))
        if not processes.is_first():
            return {}
        index, cost = built_index(lambda: self.index.build(vectors, queries))
        run.put(TOWER_VECTORS, vectors)
        index.save(run.path(INDEX))
        facts = {
            'index': type(index).__name__,
            'items': len(index),
            'dim': int(vectors.shape[1]),
            'serving': {'index': cost.as_dict()},
        }
        if isinstance(index, ScannIndex):
            facts['layout'] = dataclasses.asdict(index.layout)
            facts['recall_against_exact'] = dataclasses.asdict(index.recall)
        return facts


@dataclasses.dataclass(frozen=True, eq=False)
class IndexRecommender:
    """What an index finds for histories; see `rank.TrainedRecommender`.

    Attributes:
      tower: encodes the histories.
      index: of the item tower's vectors.
      vectors: these.
      depth: how many items are ranked; a target further down has rank 0.
    """

    tower: CatalogueRecommender
    index: VectorIndex
    vectors: Float[np.ndarray, 'items dim']
    depth: int

    def with_params(self, params: PyTree[Array]) -> 'IndexRecommender':
        """The same with these parameters, which the index must be of.

        Raises:
          ValueError: when it is of others.
        """
        tower = self.tower.with_params(params)
        if not _alike(self.vectors, tower.item_vectors()):
            raise ValueError(
                f'{INDEX.path} is of other parameters than those that are asked: run '
                'python -m llmrec_jax.evaluate with the same flags, which builds it'
            )
        return dataclasses.replace(self, tower=tower)

    def for_users(self, user_ids: Sequence[str]) -> 'IndexRecommender':
        """The same: who asks makes no difference, only the history."""
        del user_ids
        return self

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """See `RetrievalRecommender.recommend`."""
        found = RetrievalRecommender(VectorRetriever(self.index, self.tower), self.depth)
        return found.recommend(cases, k, seen_items=seen_items)

    def target_ranks(self, cases: RankingCases, k: int, *, seen_items: str) -> Int[np.ndarray, 'cases']:
        """See `rank.TrainedRecommender`."""
        return self.recommend(cases, k, seen_items=seen_items).target_rank


@dataclasses.dataclass(frozen=True)
class IndexRetrieval:
    """How a run answers histories from its index; see `rank.Retrieval`.

    Attributes:
      tower: the two sides.
      depth: how many items are ranked.
    """

    tower: CatalogueRetrieval
    depth: int

    @property
    def parameters(self) -> Parameters:
        """See `rank.Retrieval`."""
        return self.tower.parameters

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `rank.Retrieval`."""
        return (*self.tower.reads, TOWER_VECTORS, INDEX)

    def blank(self, run: Run) -> IndexRecommender:
        """See `rank.Retrieval`.

        Raises:
          FileNotFoundError: when no index was built.
          ValueError: when it is damaged, or not of the vectors beside it.
        """
        vectors = run[TOWER_VECTORS]
        return IndexRecommender(self.tower.blank(run), load_index(run[INDEX], vectors), vectors, self.depth)

    def check(self, run: Run) -> None:
        """See `rank.Retrieval`."""
        self.tower.check(run)


def _alike(stored: Float32[np.ndarray, '_ _'], made: Float32[np.ndarray, 'items dim']) -> bool:
    """Whether the vectors are the same but for the rounding of another machine or mesh."""
    return stored.shape == made.shape and bool(
        np.abs(stored - made).max(initial=0.0) <= 1e-3 * np.abs(made).max(initial=0.0)
    )
