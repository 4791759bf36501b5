"""The folder of a generative recommender's run: where everything lies, and what was made there."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.evaluation.recommendations import Recommendations
from llmrec_jax.launch.generative_recommender import GenerativeRecommender
from llmrec_jax.launch.given_histories import as_cases, as_semantic_ids
from llmrec_jax.launch.ranking_folder import RankingFolder
from llmrec_jax.launch.recipe import Recipe
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.trie import Trie, build_trie
from llmrec_jax.training.columns import ColumnStore


@dataclasses.dataclass(frozen=True, eq=False)
class Workspace(RankingFolder):
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run.
    """

    recipe: Recipe

    @functools.cached_property
    def code_table(self) -> CodeTable:
        """The semantic IDs."""
        return CodeTable.load(self.recipe.task.code_table)

    @functools.cached_property
    def trie(self) -> Trie:
        """The semantic IDs as the decoder's constraint."""
        layout = self.recipe.layout
        ranges = tuple(zip(layout.level_offsets, layout.codebook_sizes, strict=True))
        return build_trie(layout.item_tokens(self.code_table.codes), level_ranges=ranges)

    def recommender(
        self, split: str, params: Any, *, search: SemanticIdSearch | None = None
    ) -> GenerativeRecommender:
        """The recipe's model as a recommender for the users of `split`; `search` replaces the recipe's."""
        return self.recommender_over(self.examples(split), params, search=search)

    def recommended(
        self, users: Sequence[str], histories: Sequence[Sequence[int]], k: int, seen_items: str
    ) -> Recommendations:
        """At most `k` items for histories from outside the corpus, of rows of the catalogue."""
        recipe = self.recipe
        examples = as_semantic_ids(users, histories, self.code_table, recipe.layout, recipe.task.max_items)
        recommender = self.recommender_over(examples, self.params)
        return recommender.recommend(as_cases(histories), k, seen_items=seen_items)

    def recommender_over(
        self, examples: ColumnStore, params: Any, *, search: SemanticIdSearch | None = None
    ) -> GenerativeRecommender:
        """The recipe's model as a recommender for whoever is in `examples`."""
        recipe = self.recipe
        model = recipe.model if search is None else dataclasses.replace(recipe.model, decode_fn=search)
        return GenerativeRecommender(
            model=model,
            params=params,
            trie=self.trie,
            examples=examples,
            input_length=recipe.task.feature_lengths['inputs'],
            length_buckets=recipe.decoding_length_buckets,
            batch_size=recipe.decoding_batch_size,
        )
