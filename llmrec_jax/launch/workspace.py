"""The folder of a generative recommender's run: where everything lies, and what was made there."""

import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Float

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.launch.generative_recommender import GenerativeRecommender
from llmrec_jax.launch.recipe import Recipe
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.trie import Trie, build_trie
from llmrec_jax.training.columns import ColumnStore


@dataclasses.dataclass(frozen=True, eq=False)
class Workspace(RunFolder):
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run.
    """

    recipe: Recipe

    @property
    def item_vectors_path(self) -> pathlib.Path:
        """Embeddings of the items' text."""
        return self.root / 'item_vectors.npy'

    @property
    def diagnostics_dir(self) -> pathlib.Path:
        """What is to be looked at of the semantic IDs."""
        return self.root / 'semantic_ids'

    def lists_path(self, stage: str, split: str, seen_items: str) -> pathlib.Path:
        """What the systems of a stage answered under one protocol."""
        return self.root / 'evaluation' / stage / f'{split}_{seen_items}.npz'

    def examples_dir(self, split: str) -> pathlib.Path:
        """The materialised task."""
        return self.root / 'tasks' / split

    @functools.cached_property
    def item_vectors(self) -> Float[np.ndarray, 'items dim']:
        """Row `i` embeds the text of item `i`."""
        return np.load(self.item_vectors_path)

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

    def examples(self, split: str) -> ColumnStore:
        """The materialised task's examples."""
        return ColumnStore.open(self.examples_dir(split))

    def cases(self, split: str) -> RankingCases:
        """What every system is asked for: all test users, or the users drawn for validation.

        The draw is the same at every step of training and for every system.
        """
        cases = getattr(self.splits, split)
        if split != 'validation' or len(cases) <= self.recipe.validation_users:
            return cases
        drawn = np.random.default_rng(self.recipe.seed).permutation(len(cases))
        return cases.select(np.sort(drawn[: self.recipe.validation_users]))

    def recommender(
        self, split: str, params: Any, *, search: SemanticIdSearch | None = None
    ) -> GenerativeRecommender:
        """The recipe's model as a recommender for the users of `split`; `search` replaces the recipe's."""
        return self.recommender_over(self.examples(split), params, search=search)

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
