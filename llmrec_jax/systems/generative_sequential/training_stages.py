"""Stages of training: histories packed into rows."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from llmrec_jax.models.generative_sequential.model import TARGETS
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages import tasks
from llmrec_jax.training.columns import ColumnStore, write_columns
from llmrec_jax.training.packing import pack

PACKED_EXAMPLES: Artifact[ColumnStore] = tasks.examples('packed')


@dataclasses.dataclass(frozen=True)
class PackHistories(Stage):
    """Puts several histories into one row, each item beside the one that follows it.

    Rows are full but for a tenth, where histories padded one by one to their longest would be mostly padding.

    Attributes:
      row_length: items of a row; at least those of the longest history.
      seed: of the order in which histories are packed.
    """

    row_length: int
    seed: int = 0
    name: ClassVar[str] = 'packing'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (tasks.examples('train'),)
    writes: ClassVar = (PACKED_EXAMPLES,)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        store = run[tasks.examples('train')]
        order = np.random.default_rng(self.seed).permutation(len(store))
        histories = (store[row][ITEMS] for row in order.tolist())
        lengths = {ITEMS: self.row_length, TARGETS: self.row_length}
        rows = list(pack((_shifted(tokens) for tokens in histories if len(tokens) > 1), lengths))
        packed = write_columns(
            run.path(PACKED_EXAMPLES),
            {name: [row[name] for row in rows] for name in rows[0]},
            {**store.manifest['provenance'], 'row_length': self.row_length, 'seed': self.seed},
        )
        targets = int(packed.lengths(TARGETS).sum())
        return {
            'rows': len(packed),
            'predictions': targets,
            'filled': targets / (len(packed) * self.row_length),
        }


def _shifted(tokens: np.ndarray) -> Mapping[str, np.ndarray]:
    return {ITEMS: tokens[:-1], TARGETS: tokens[1:]}
