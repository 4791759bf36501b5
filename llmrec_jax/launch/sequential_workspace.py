"""The folder of a sequential recommender's run: where everything lies, and what was made there."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from llmrec_jax.evaluation.floors.counts import item_counts
from llmrec_jax.evaluation.recommendations import Recommendations
from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.launch.given_histories import as_cases
from llmrec_jax.launch.query_tower import QueryTower
from llmrec_jax.launch.ranking_folder import RankingFolder
from llmrec_jax.launch.sequential_recipe import SequentialRecipe
from llmrec_jax.launch.sequential_recommender import CatalogueRanking, SequentialRecommender
from llmrec_jax.launch.stages import record_path
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.sequential.catalogue import CatalogueFacts
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.training.train_state import abstract_params


@dataclasses.dataclass(frozen=True, eq=False)
class SequentialWorkspace(RankingFolder):
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run.
    """

    recipe: SequentialRecipe

    @functools.cached_property
    def facts(self) -> CatalogueFacts:
        """What the network is made for."""
        return CatalogueFacts(self.n_items, item_counts(self.splits.train, self.n_items))

    @functools.cached_property
    def model(self) -> SequentialRecommenderModel:
        """The recipe's model of the corpus's catalogue."""
        return self.recipe.model.for_catalogue(self.facts)

    @property
    def network_is_known(self) -> bool:
        """Whether the corpus is there, whose catalogue decides the network's shapes."""
        return self.splits_path.exists() and record_path(self.root, 'corpus').exists()

    @functools.cached_property
    def abstract_params(self) -> Any:
        """Shapes and shardings of the model's parameters."""
        trainer = self.recipe.trainer
        features = {ITEMS: jax.ShapeDtypeStruct((1, 2), jnp.int32)}
        return abstract_params(self.model, features, trainer.mesh.build(), trainer.logical_axis_rules)

    @functools.cached_property
    def ranking(self) -> CatalogueRanking:
        """The model's ranking of the catalogue."""
        recipe = self.recipe
        return CatalogueRanking(
            model=self.model,
            mesh=recipe.trainer.mesh.build(),
            rules=recipe.trainer.logical_axis_rules,
            max_items=recipe.task.max_items,
            batch_size=recipe.ranking_batch_size,
            length_buckets=tuple(recipe.ranking_length_buckets),
        )

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

    def recommended(
        self, users: Sequence[str], histories: Sequence[Sequence[int]], k: int, seen_items: str
    ) -> Recommendations:
        """At most `k` items for histories from outside the corpus; of users it needs no names."""
        del users
        return self.trained.recommend(as_cases(histories), k, seen_items=seen_items)

    @functools.cached_property
    def trained(self) -> Recommender:
        """The recommender with the parameters of the named checkpoint or of the best."""
        return self.recommender(self.params)

    def recommender(self, params: Any) -> SequentialRecommender:
        """The recipe's model as a recommender for whatever histories."""
        return SequentialRecommender(self.ranking, params)
