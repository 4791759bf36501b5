"""The folder of a two-tower retriever's run: the item tower's vectors, their index, and what asks it."""

import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np

from llmrec_jax.evaluation.retrieval_recommender import RetrievalRecommender
from llmrec_jax.launch.query_tower import QueryTower
from llmrec_jax.launch.sequential_workspace import SequentialWorkspace
from llmrec_jax.launch.stages import record_path
from llmrec_jax.launch.two_tower_recipe import TwoTowerRecipe
from llmrec_jax.models.sequential.catalogue import CatalogueFacts
from llmrec_jax.retrieval.index_choice import load_index
from llmrec_jax.retrieval.vector_retriever import VectorRetriever


@dataclasses.dataclass(frozen=True, eq=False)
class TwoTowerWorkspace(SequentialWorkspace):
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run.
    """

    recipe: TwoTowerRecipe

    @functools.cached_property
    def facts(self) -> CatalogueFacts:
        """What the towers are made for."""
        read = self.recipe.text_encoder is not None
        return dataclasses.replace(super().facts, vectors=self.item_vectors if read else None)

    @property
    def network_is_known(self) -> bool:
        """Whether the corpus is there, and the text that the item tower reads."""
        return super().network_is_known and record_path(self.root, 'item_vectors').exists()

    @property
    def tower_vectors_path(self) -> pathlib.Path:
        """Row `i` is the item tower's vector of item `i`."""
        return self.root / 'retrieval' / 'item_vectors.npy'

    @property
    def index_dir(self) -> pathlib.Path:
        """The index of those vectors."""
        return self.root / 'retrieval' / 'index'

    def query_tower(self, params: Any) -> QueryTower:
        """The recipe's model as two sides of vectors."""
        recipe = self.recipe
        return QueryTower(
            model=self.model,
            params=params,
            mesh=recipe.trainer.mesh.build(),
            rules=recipe.trainer.logical_axis_rules,
            max_items=recipe.task.max_items,
            batch_size=recipe.ranking_batch_size,
            length_buckets=tuple(recipe.ranking_length_buckets),
        )

    def retriever(self, params: Any) -> VectorRetriever:
        """What finds candidates: the query tower before the index that was built.

        Raises:
          FileNotFoundError: when there is none.
          ValueError: when it is damaged, or not of the vectors beside it.
        """
        index = load_index(self.index_dir, np.load(self.tower_vectors_path))
        return VectorRetriever(index, self.query_tower(params))

    def recommender(self, params: Any) -> RetrievalRecommender:
        """The retriever as a recommender for whatever histories."""
        return RetrievalRecommender(self.retriever(params), self.recipe.depth)
