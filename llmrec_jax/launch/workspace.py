"""The folder of a run: where everything lies, and what was made there, loaded when first asked for."""

import dataclasses
import functools
import json
import os
import pathlib
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from llmrec_jax.corpora.split_files import load_splits
from llmrec_jax.corpora.splits import Splits
from llmrec_jax.launch.recipe import Recipe
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.trie import Trie, build_trie
from llmrec_jax.training.columns import ColumnStore

if TYPE_CHECKING:
    from llmrec_jax.corpora.corpus import Corpus
    from llmrec_jax.corpora.prepare import PreparedCorpus


@dataclasses.dataclass(frozen=True, eq=False)
class Workspace:
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run.
    """

    recipe: Recipe

    @property
    def root(self) -> pathlib.Path:
        """The workdir."""
        return pathlib.Path(self.recipe.workdir)

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

    @property
    def evaluation_dir(self) -> pathlib.Path:
        """Results of every system, with the per-user ranks."""
        return self.root / 'evaluation'

    def examples_dir(self, split: str) -> pathlib.Path:
        """The materialised task."""
        return self.root / 'tasks' / split

    @functools.cached_property
    def prepared(self) -> 'PreparedCorpus':
        """The corpus in TFDS; written there if it is not."""
        from llmrec_jax.corpora.prepare import prepare

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


def write_json(path: pathlib.Path, content: object) -> None:
    """Writes `content` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f'{path.name}.partial')
    beside.write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + '\n')
    os.replace(beside, path)


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes `content` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f'{path.name}.partial')
    beside.write_bytes(content)
    os.replace(beside, path)
