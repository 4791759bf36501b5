"""T5X's input from the materialised examples: the embedded engine's batches in its order."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from clu.data import dataset_iterator
from t5x import checkpoints, utils

from llmrec_jax.files import read_text
from llmrec_jax.t5x.prepared_run import PreparedRun
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.train_state import TrainableModel


class StoreIterator(dataset_iterator.DatasetIterator):
    """One host's rows of batch `step`, `step + 1`, ..., as model features.

    A batch is a function of its step, so the position is all there is to save, and a restart at step n goes
    on with batch n, whichever engine made the checkpoint.
    """

    def __init__(self, batches: Batches, model: TrainableModel, step: int, rows: slice):
        """Starts at batch `step`; `rows` are this host's places in a batch."""
        self._batches, self._model, self._step, self._rows = batches, model, step, rows

    def __next__(self) -> Mapping[str, np.ndarray]:
        (batch,) = self._batches.batch(self._step, self._rows)
        self._step += 1
        return self._model.convert_features(batch.features)

    @property
    def element_spec(self) -> Mapping[str, dataset_iterator.ArraySpec]:
        """Shapes and types of one host's rows."""
        rows = len(range(self._batches.batch_size)[self._rows])
        lengths = self._batches.padded_lengths(self._batches.shapes[-1])
        blank = {name: np.zeros((rows, length), np.int32) for name, length in lengths.items()}
        features = self._model.convert_features(blank)
        return {
            name: dataset_iterator.ArraySpec(array.dtype, array.shape) for name, array in features.items()
        }

    def reset(self) -> None:
        """Goes back to the first batch."""
        self._step = 0

    def save(self, filename: Any) -> None:
        """Writes the position, where T5X was asked to checkpoint its input."""
        pathlib.Path(os.fspath(filename)).write_text(json.dumps({'step': self._step}), encoding='utf-8')

    def restore(self, filename: Any) -> None:
        """Reads the position."""
        self._step = json.loads(read_text(os.fspath(filename)))['step']


@dataclasses.dataclass(frozen=True)
class StoreBatches:
    """T5X's `get_dataset_fn` over the run's materialised examples.

    Attributes:
      run: the recipe made ready.
      model_dir: T5X's folder of checkpoints; training goes on with the batch after the newest one's.
    """

    run: PreparedRun
    model_dir: str

    def __call__(
        self,
        cfg: utils.DatasetConfig,
        shard_id: int,
        num_shards: int,
        feature_converter_cls: Any,
        num_epochs: int | None = None,
        continue_from_last_checkpoint: bool = True,
    ) -> StoreIterator:
        """An endless iterator over the batches of one shard; see `t5x.utils.GetDatasetCallable`.

        Raises:
          ValueError: when the batch does not divide over the shards.
        """
        del feature_converter_cls, num_epochs, continue_from_last_checkpoint
        if cfg.batch_size % num_shards:
            raise ValueError(
                f'a batch of {cfg.batch_size} does not divide over the {num_shards} shards of the input'
            )
        trainer = self.run.trainer
        batches = Batches(
            self.run.examples(cfg.split),
            cfg.batch_size,
            cfg.task_feature_lengths,
            bucketed_feature=trainer.bucketed_feature,
            seed=trainer.seed,
            # T5X cuts a batch where it stands, if it is told to by `num_microbatches`.
            by_length=not self.run.model.in_batch_loss,
        )
        size = cfg.batch_size // num_shards
        step = checkpoints.latest_step(self.model_dir) or 0
        return StoreIterator(batches, self.run.model, step, slice(shard_id * size, (shard_id + 1) * size))
