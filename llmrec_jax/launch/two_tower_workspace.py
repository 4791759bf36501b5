"""The folder of a two-tower retriever's run: the item tower's vectors, their index, and what asks it."""

import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Float

from llmrec_jax.evaluation.retrieval_recommender import RetrievalRecommender
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

    def retriever(self, params: Any) -> VectorRetriever:
        """What finds candidates: the query tower before the index that was built.

        Raises:
          FileNotFoundError: when there is none.
          ValueError: when it is damaged, or not of the vectors beside it, or these are of other parameters.
        """
        mend = 'run python -m llmrec_jax.evaluate with the same flags, which builds it'
        if not self.tower_vectors_path.exists():
            raise FileNotFoundError(f'{self.root} has no index to search: {mend}')
        vectors, tower = np.load(self.tower_vectors_path), self.query_tower(params)
        index = load_index(self.index_dir, vectors)
        if not _alike(vectors, tower.item_vectors()):
            used = self.checkpoint or self.best_checkpoint
            raise ValueError(f'{self.index_dir}: the index is of other parameters than {used}: {mend}')
        return VectorRetriever(index, tower)

    def recommender(self, params: Any) -> RetrievalRecommender:
        """The retriever as a recommender for whatever histories."""
        return RetrievalRecommender(self.retriever(params), self.recipe.depth)


def _alike(
    stored: Float[np.ndarray, 'stored_items stored_dim'], made: Float[np.ndarray, 'items dim']
) -> bool:
    """Whether the vectors are the same but for the rounding of another machine or mesh."""
    return stored.shape == made.shape and bool(
        np.abs(stored - made).max(initial=0.0) <= 1e-3 * np.abs(made).max(initial=0.0)
    )
