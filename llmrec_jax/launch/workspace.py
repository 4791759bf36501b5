"""The folder of a run: where everything lies, and what was made there, loaded when first asked for."""

import dataclasses
import functools
import pathlib
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float

from llmrec_jax.corpora.split_files import load_splits
from llmrec_jax.corpora.splits import RankingCases, Splits
from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.launch.catalogue_file import ShownItems, load_catalogue
from llmrec_jax.launch.generative_recommender import GenerativeRecommender
from llmrec_jax.launch.recipe import Recipe
from llmrec_jax.launch.stages import read_record
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.trie import Trie, build_trie
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.parameter_restore import restore_params
from llmrec_jax.training.train_state import abstract_params

if TYPE_CHECKING:
    from llmrec_jax.corpora.corpus import Corpus
    from llmrec_jax.corpora.prepare import PreparedCorpus


@dataclasses.dataclass(frozen=True, eq=False)
class Workspace:
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run.
      checkpoint: a folder `checkpoint_<step>` to take parameters from, ours or T5X's, local or `gs://`; None
        for the best that was trained here.
    """

    recipe: Recipe
    checkpoint: str | None = None

    @property
    def root(self) -> pathlib.Path:
        """The workdir."""
        return pathlib.Path(self.recipe.workdir)

    @property
    def config_path(self) -> pathlib.Path:
        """The operative configuration of the last launcher that worked here."""
        return self.root / 'config.gin'

    @property
    def splits_path(self) -> pathlib.Path:
        """Train, validation and test, as arrays."""
        return self.root / 'splits.npz'

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
    def prepared(self) -> 'PreparedCorpus':
        """The corpus in TFDS; written there if it is not."""
        import tensorflow_datasets as tfds

        from llmrec_jax.corpora.prepare import prepare

        tfds.disable_progress_bar()
        return prepare(self.recipe.corpus, self.recipe.data_dir)

    @functools.cached_property
    def corpus(self) -> 'Corpus':
        """The corpus in memory."""
        from llmrec_jax.corpora.prepare import load_corpus

        return load_corpus(self.prepared)

    @functools.cached_property
    def splits(self) -> Splits:
        """Leave-last-out over the corpus."""
        return load_splits(self.splits_path)

    @property
    def catalogue_path(self) -> pathlib.Path:
        """Ids, titles and categories."""
        return self.root / 'catalogue.jsonl'

    @functools.cached_property
    def catalogue(self) -> ShownItems:
        """The items as they are shown."""
        return load_catalogue(self.catalogue_path)

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

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return self.stage_summary('corpus')['items']

    def stage_summary(self, stage: str) -> dict:
        """What a finished stage said of its work."""
        return read_record(self.root, stage).summary

    @property
    def best_checkpoint(self) -> pathlib.Path:
        """The checkpoint of the best validation."""
        return self.root / self.stage_summary('train')['best_checkpoint']

    @functools.cached_property
    def params(self) -> Any:
        """Parameters of the named checkpoint or of the best, sharded as the trainer shards them.

        Raises:
          CheckpointError: when it is not there, is damaged, or is of another model.
        """
        return restore_params(self.checkpoint or self.best_checkpoint, self.abstract_params)

    @functools.cached_property
    def abstract_params(self) -> Any:
        """Shapes and shardings of the model's parameters."""
        trainer, model = self.recipe.trainer, self.recipe.model
        blank = {name: np.zeros((1, 1), np.int32) for name in trainer.feature_lengths}
        features = {
            name: jax.ShapeDtypeStruct(array.shape, array.dtype)
            for name, array in model.convert_features(blank).items()
        }
        return abstract_params(model, features, trainer.mesh.build(), trainer.logical_axis_rules)

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
