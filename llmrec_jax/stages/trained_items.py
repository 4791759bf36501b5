"""Codes from item vectors that a sequential recommender learned, in the place of counted co-occurrence."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from llmrec_jax.models.sequential.item_encoder import ROWS_MULTIPLE
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.runs.trained import trained_checkpoint
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS
from llmrec_jax.stages.item_vectors import CO_OCCURRENCE_VECTORS
from llmrec_jax.training.parameter_restore import load_params


@dataclasses.dataclass(frozen=True)
class TrainedItems:
    """Where item vectors are taken from.

    Attributes:
      workdir: of a finished run of `sasrec` over the same corpus and split; its best checkpoint is read.
    """

    workdir: str


@dataclasses.dataclass(frozen=True)
class EmbedTrainedItems(Stage):
    """Takes the item vectors of a trained sequential recommender over.

    Attributes:
      trained: where from.
    """

    trained: TrainedItems
    name: ClassVar[str] = 'co_occurrence'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (SPLITS, CATALOGUE)
    writes: ClassVar = (CO_OCCURRENCE_VECTORS,)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`.

        Raises:
          ValueError: when the other run's catalogue or training events are not this one's, or its items
            have no vectors of their own.
          CheckpointError: when its checkpoint cannot be read.
        """
        workdir, n_items = self.trained.workdir, len(run[CATALOGUE])
        other = Run(workdir)
        # Events that this run holds out must not have taught the vectors.
        alike = other[CATALOGUE].item_id == run[CATALOGUE].item_id and np.array_equal(
            other[SPLITS].train.values, run[SPLITS].train.values
        )
        if not alike:
            raise ValueError(
                f'TrainedItems.workdir={workdir} has another catalogue or other training events than '
                f'{run.root}: train the recommender on the same corpus, split alike'
            )
        checkpoint = trained_checkpoint(other)
        vectors = item_vectors(load_params(other.root / checkpoint), n_items, workdir)
        run.put(CO_OCCURRENCE_VECTORS, vectors)
        return {'dim': int(vectors.shape[1]), 'checkpoint': checkpoint}


def item_vectors(params: dict[str, Any], n_items: int, workdir: str) -> Float[np.ndarray, 'items dim']:
    """The vectors of a catalogue among a recommender's parameters.

    Args:
      params: of the recommender.
      n_items: of the catalogue.
      workdir: what the parameters are of, for errors.

    Raises:
      ValueError: when its items have no vectors of their own.
    """
    table = params.get('item_encoder', {}).get('embedding')
    if table is None or len(table) != -(-n_items // ROWS_MULTIPLE) * ROWS_MULTIPLE:
        raise ValueError(
            f'TrainedItems.workdir={workdir} holds no table of {n_items} item vectors: name a run of '
            'gin_configs/sasrec/'
        )
    return np.asarray(table[:n_items], np.float32)
