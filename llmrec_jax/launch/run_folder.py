"""The folder of a run of any recipe: its corpus, its stages, its checkpoints."""

import dataclasses
import functools
import pathlib
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from llmrec_jax.corpora.split_files import load_splits
from llmrec_jax.corpora.splits import Splits
from llmrec_jax.launch.stages import read_record
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.stages.catalogue_file import ShownItems, load_catalogue
from llmrec_jax.training.parameter_restore import restore_params
from llmrec_jax.training.train_state import abstract_params
from llmrec_jax.training.trainer import Trainer

if TYPE_CHECKING:
    from llmrec_jax.corpora.corpus import Corpus
    from llmrec_jax.corpora.prepare import PreparedCorpus


@dataclasses.dataclass(frozen=True, eq=False)
class RunFolder:
    """Paths and artifacts that every recipe over a corpus has.

    Attributes:
      recipe: what is run: it has `workdir`, `corpus`, `data_dir`, `model` and `trainer`.
      checkpoint: a folder `checkpoint_<step>` to take parameters from, ours or T5X's, local or `gs://`; None
        for the best that was trained here.
    """

    recipe: Any
    checkpoint: str | None = None

    @property
    def root(self) -> pathlib.Path:
        """The workdir."""
        return pathlib.Path(self.recipe.workdir)

    @property
    def model(self) -> EncoderDecoderModel:
        """The recipe's model, with what of it was made in the folder."""
        return self.recipe.model

    @property
    def trainer(self) -> Trainer:
        """The recipe's engine, with what of it was made in the folder."""
        return self.recipe.trainer

    @property
    def network_is_known(self) -> bool:
        """Whether the network's shapes can be told by what is there; the recipe alone tells them."""
        return True

    @property
    def config_path(self) -> pathlib.Path:
        """The operative configuration of the last launcher that worked here."""
        return self.root / 'config.gin'

    @property
    def splits_path(self) -> pathlib.Path:
        """Train, validation and test, as arrays."""
        return self.root / 'splits.npz'

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
