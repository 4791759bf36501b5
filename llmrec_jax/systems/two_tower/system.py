"""Two-tower retrieval: a tower over a user's items and a tower over an item meet in an inner product.

Trained by the softmax within a batch with the logQ correction (Yi et al., 2019), served from an index. Any
model whose scores are inner products may be served so, SASRec too.

| stage | makes |
|---|---|
| corpus | `splits.npz`, `catalogue.jsonl` |
| floors, sampled_floors, ceiling | lists and figures of what it is held against |
| item_vectors | `item_vectors.npy`: texts, where the item tower reads them |
| tasks | `tasks/train/`: whole histories |
| train | `checkpoints/`, validated by the exact ranking of the whole catalogue |
| index | `retrieval/`: the item tower's vectors and their index |
| evaluate | lists of what the index finds |
| sampled | figures among drawn items, by the towers' exact inner products |
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from llmrec_jax.retrieval.index_choice import IndexChoice
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.stage import Stage
from llmrec_jax.stages.baselines import against
from llmrec_jax.stages.catalogue_system import CatalogueSystem, WriteHistories
from llmrec_jax.stages.item_vectors import ITEM_VECTORS, EmbedItems
from llmrec_jax.stages.train import Train
from llmrec_jax.systems.two_tower.index import BuildIndex, IndexRetrieval
from llmrec_jax.text.text_encoder import TextEncoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoTower(CatalogueSystem):
    """What is run, and where; beside what a `CatalogueSystem` says.

    Attributes:
      text_encoder: from item text to the vectors that the item tower reads; None for a tower that reads none.
      item_fields: fields of an item that its sentence shows.
      index: which index the item tower's vectors get; ScaNN is tuned with the validation users' queries.
      depth: how many items the retriever ranks for a user; a target further down counts as not found.

    Raises:
      ValueError: when the parts do not fit one another.
    """

    text_encoder: TextEncoder | None = None
    item_fields: tuple[str, ...] = ('title', 'price', 'brand', 'categories')
    index: IndexChoice = dataclasses.field(default_factory=IndexChoice)
    depth: int = 100

    def __post_init__(self):
        super().__post_init__()
        if self.depth < self.ranking.list_length:
            raise ValueError(
                f'TwoTower.depth={self.depth} is below Ranking.list_length={self.ranking.list_length}'
            )

    @property
    def item_vectors(self) -> Artifact[np.ndarray] | None:
        """See `CatalogueSystem`."""
        return None if self.text_encoder is None else ITEM_VECTORS

    @property
    def served(self) -> IndexRetrieval:
        """See `CatalogueSystem`."""
        return IndexRetrieval(self.retrieval, self.depth)

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        ranking, retrieval = self.ranking, self.retrieval
        return [
            self.prepare_corpus,
            *against(self.corpus, ranking.draw, ranking.list_length, ranking.ks, self.task.split),
            *self.sampled_baselines(),
            *self._texts(),
            WriteHistories(task=self.task),
            Train(
                network=retrieval.parameters.network,
                trainer=self.trainer,
                validation=ranking.validation(retrieval),
            ),
            BuildIndex(tower=retrieval, index=self.index, draw=ranking.draw),
            *self.evaluation(),
        ]

    def _texts(self) -> list[Stage]:
        if self.text_encoder is None:
            return []
        return [
            EmbedItems(
                corpus=self.corpus,
                data_dir=self.data_dir,
                encoder=self.text_encoder,
                item_fields=self.item_fields,
            )
        ]
