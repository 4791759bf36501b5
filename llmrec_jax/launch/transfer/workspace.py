"""The folder of a transfer recipe's run: where everything lies, and what was made there.

| path | holds |
|---|---|
| `sources/train/` | a `ColumnStore`: what pre-training is taught |
| `sources/domains.npz` | their sequences, see `SourceDomains` |
| `sources/sentences.json` | what the sources' catalogues say of their items |
| `item_vectors.npy` | texts of the target's items |
| `sources/vectors.npy`, `sources/dropped_vectors.npy` | texts of the sources' items, whole and without some
words | | `codes/target.npz`, `codes/sources.npz` | `ItemCodes`, where items are told by codes |
| `pretraining/`, `renaming/` | `start/` and `checkpoints/` of the trainings before the last |
| `start/` | the parameters that fine-tuning starts from |
| `tasks/chosen/` | the examples of the users that are fine-tuned on |
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.floors.counts import item_counts
from llmrec_jax.launch.ranking_folder import drawn_cases
from llmrec_jax.launch.sequential_workspace import SequentialWorkspace
from llmrec_jax.launch.stages import record_path
from llmrec_jax.launch.transfer.recipe import TransferRecipe
from llmrec_jax.launch.transfer.source_domains import TEXT as SHUFFLED_TEXT
from llmrec_jax.launch.transfer.source_domains import SourceDomains, shuffled_rows
from llmrec_jax.models.sequential.catalogue import CatalogueFacts
from llmrec_jax.models.transfer.frozen_tables import CODES, DROPPED_TEXT, TEXT
from llmrec_jax.models.transfer.text_items import TextItemEncoder
from llmrec_jax.semantic_ids.item_codes import ItemCodes
from llmrec_jax.training.checkpoints import checkpoint_path
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.trainer import Trainer

TARGET, SOURCES = 'target', 'sources'
START = 'start'


@dataclasses.dataclass(frozen=True, eq=False)
class TransferWorkspace(SequentialWorkspace):
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run.
    """

    recipe: TransferRecipe

    @property
    def sources_dir(self) -> pathlib.Path:
        """What was made of the domains that are learned from."""
        return self.root / SOURCES

    @property
    def domains_path(self) -> pathlib.Path:
        """The sources' sequences."""
        return self.sources_dir / 'domains.npz'

    @property
    def source_sentences_path(self) -> pathlib.Path:
        """The texts of the sources' items, a JSON list."""
        return self.sources_dir / 'sentences.json'

    @functools.cached_property
    def domains(self) -> SourceDomains:
        """The sources' sequences, or what a control leaves of them."""
        return SourceDomains.load(self.domains_path).shuffled(self.recipe.shuffle, self.recipe.seed)

    @property
    def source_cases(self) -> RankingCases:
        """The sources' validation items, as many as the recipe validates by, drawn by its seed."""
        return drawn_cases(self.domains.validation, self.recipe.validation_users, self.recipe.seed)

    @property
    def pretraining_dir(self) -> pathlib.Path:
        """The training on the sources."""
        return self.root / 'pretraining'

    @property
    def renaming_dir(self) -> pathlib.Path:
        """The training that finds out how the target renames codes."""
        return self.root / 'renaming'

    @property
    def start(self) -> pathlib.Path:
        """The checkpoint that fine-tuning starts from."""
        return checkpoint_path(self.root / START, 0)

    def codes_path(self, domain: str) -> pathlib.Path:
        """Codes of the items of 'target' or of 'sources'."""
        return self.root / 'codes' / f'{domain}.npz'

    def source_vectors_path(self, *, dropped: bool) -> pathlib.Path:
        """Embeddings of the texts of the sources' items, whole or without some words."""
        return self.sources_dir / ('dropped_vectors.npy' if dropped else 'vectors.npy')

    @functools.cached_property
    def source_vectors(self) -> Float[np.ndarray, 'items dim']:
        """Row `i` embeds the text of the sources' item `i`, or of another where a control says so."""
        return self._described(np.load(self.source_vectors_path(dropped=False)))

    @functools.cached_property
    def facts(self) -> CatalogueFacts:
        """What the target's network is made for."""
        counts = item_counts(self.splits.train, self.n_items)
        return CatalogueFacts(self.n_items, counts, self.item_vectors)

    @functools.cached_property
    def source_facts(self) -> CatalogueFacts:
        """What the sources' network is made for."""
        return CatalogueFacts(len(self.source_vectors), vectors=self.source_vectors)

    @property
    def network_is_known(self) -> bool:
        """Whether catalogue and texts are there, which decide the network's shapes."""
        return super().network_is_known and record_path(self.root, 'item_vectors').exists()

    @property
    def trainer(self) -> Trainer:
        """The engine of fine-tuning, which starts from what was made for it."""
        return dataclasses.replace(self.recipe.trainer, initial_checkpoint=str(self.start))

    def tables(self, domain: str) -> Mapping[str, np.ndarray]:
        """What fills the frozen tables of the items of 'target' or of 'sources'."""
        if self.recipe.quantizer is not None:
            return {CODES: ItemCodes.load(self.codes_path(domain)).codes}
        if domain == TARGET:
            return {TEXT: self.item_vectors}
        tables = {TEXT: self.source_vectors}
        if self.drops_words:
            tables[DROPPED_TEXT] = self._described(np.load(self.source_vectors_path(dropped=True)))
        return tables

    def _described(self, vectors: Float[np.ndarray, 'items dim']) -> Float[np.ndarray, 'items dim']:
        if self.recipe.shuffle != SHUFFLED_TEXT:
            return vectors
        return shuffled_rows(vectors, self.domains.n_items, self.recipe.seed)

    @property
    def drops_words(self) -> bool:
        """Whether pre-training knows a second text of each item."""
        items = self.recipe.pretraining.item_encoder
        return isinstance(items, TextItemEncoder) and items.word_drop

    def examples(self, split: str) -> ColumnStore:
        """The task's examples; of training, those of the users that are fine-tuned on."""
        return ColumnStore.open(self.examples_dir('chosen' if split == 'train' else split))
