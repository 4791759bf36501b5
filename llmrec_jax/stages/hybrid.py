"""The sum of two models' scores as a system, beside its parts: what a hybrid of two retrievers is worth."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from flax.linen import partitioning
from jax.sharding import Mesh
from jaxtyping import Array, Float, Float32, Int, PyTree

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.evaluation.recommender import DenseRecommender, Recommender
from llmrec_jax.evaluation.summed_scores import SummedScores, best_weight
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel, padded_left
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase
from llmrec_jax.stages import rank
from llmrec_jax.stages.catalogue_ranking import CatalogueRecommender, CatalogueRetrieval
from llmrec_jax.stages.corpus import SPLITS, CaseDraw
from llmrec_jax.stages.length_batches import length_batches
from llmrec_jax.stages.rank import RankStage
from llmrec_jax.training.mesh import LogicalRules, batch_sharding, place, replicated

# Weights of the second model that the sum is tried with.
WEIGHTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)


class ModelScores(DenseRecommender):
    """A model's score of every item, as numbers on the host, whatever the model scores by.

    Attributes:
      n_items: size of the catalogue.
    """

    def __init__(self, recommender: CatalogueRecommender):
        """Takes the model and its parameters."""
        self._recommender = recommender
        self.n_items = recommender.model.n_items

    def scores(self, histories: Sequences) -> Float32[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        asked = self._recommender
        items, lengths = histories.last(asked.max_items)
        tokens = padded_left((items + 1).astype(np.int32))
        found = np.empty((len(histories), self.n_items), np.float32)
        widths = (*asked.length_buckets, asked.max_items)
        with jax.set_mesh(asked.mesh), partitioning.axis_rules(asked.rules):
            for rows, filled, width in length_batches(lengths, asked.batch_size, widths):
                cut = {'histories': tokens[filled, asked.max_items - width :]}
                placed = place(cut, batch_sharding(asked.mesh, asked.rules))['histories']
                scores = _scores(asked.model, asked.params, placed, asked.mesh, asked.rules)
                found[rows] = jax.device_get(scores)[: len(rows), : self.n_items]
        return found


@dataclasses.dataclass(frozen=True)
class MeasureHybrid(RankStage):
    """A second model by itself, and the sum of its log-probabilities and the first's.

    The second's weight in the sum is chosen on the validation users. What the first is worth by itself, the
    stage that evaluates it tells.

    Attributes:
      first: how the first model scores every item.
      second: how the second does.
      second_name: what the second is called.
      sum_name: what the sum is called.
      draw: see `RankStage`.
      list_length: see `RankStage`.
      seen_items: the main protocol's.
    """

    first: CatalogueRetrieval
    second: CatalogueRetrieval
    second_name: str
    sum_name: str
    draw: CaseDraw
    list_length: int
    seen_items: str
    name: ClassVar[str] = 'hybrid'
    phase: ClassVar[Phase] = 'evaluate'
    on_all: ClassVar[bool] = True

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        both = (self.first, self.second)
        return (SPLITS, *(one for part in both for one in (*part.reads, *part.parameters.reads)))

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """See `RankStage`."""
        return [*(('test', seen) for seen in SEEN_ITEMS), ('validation', self.seen_items)]

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        for part in (self.first, self.second):
            part.check(run)
            part.parameters.check(run)

    def systems(self, run: Run) -> tuple[Mapping[str, Recommender], dict[str, Any]]:
        """See `RankStage.systems`."""
        second = rank.trained(self.second, run)
        parts = ModelScores(rank.trained(self.first, run)), ModelScores(second)
        cases = self.draw.cases(run[SPLITS], 'validation')
        found = best_weight(*parts, cases, WEIGHTS, seen_items=self.seen_items)
        weight = next(iter(found))
        systems = {self.second_name: second, self.sum_name: SummedScores(*parts, weight)}
        tried = {str(one): value for one, value in found.items()}
        return systems, {'second_weight': weight, 'validation_ndcg@10_by_weight': tried}


# Mesh and rules are arguments of the program, because what a trace reads of them is no part of its key.
@functools.partial(jax.jit, static_argnames=('model', 'mesh', 'rules'))
def _scores(
    model: SequentialRecommenderModel,
    params: PyTree[Array],
    histories: Int[Array, 'batch width'],
    mesh: Mesh,
    rules: LogicalRules,
) -> Float[Array, 'batch rows']:
    del rules
    return jax.lax.with_sharding_constraint(model.scores(params, histories), replicated(mesh))
