"""The examples of an evaluation task in batches, as a network is asked them."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from llmrec_jax.subsets import draw_rows
from llmrec_jax.training.columns import ColumnStore


class EvalBatch(NamedTuple):
    """A batch.

    Attributes:
      rows: rows of the examples, each once.
      filled: the same, filled up to the batch size with repeats.
      inputs: their tokens, padded with 0 to the batch's length bucket.
    """

    rows: Int[np.ndarray, 'rows']
    filled: Int[np.ndarray, 'batch']
    inputs: Int[np.ndarray, 'batch length']


@dataclasses.dataclass(frozen=True, eq=False)
class EvalBatches:
    """Batches of like length, the shortest inputs first; the same whenever and wherever they are made.

    Attributes:
      examples: with the feature 'inputs'.
      rows: of the examples that are asked, each once.
      batch_size: examples a batch.
      input_length: tokens of a full input.
      length_buckets: shorter lengths that a batch of short inputs may be padded to; each costs a
        compilation.
    """

    examples: ColumnStore
    rows: Int[np.ndarray, 'asked']
    batch_size: int
    input_length: int
    length_buckets: tuple[int, ...] = ()

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def after(self, done: int) -> Iterator[EvalBatch]:
        """The batches that follow the first `done`.

        Raises:
          ColumnError: when an input is longer than `input_length`.
        """
        buckets = sorted({*self.length_buckets, self.input_length})
        for start in range(done * self.batch_size, len(self.rows), self.batch_size):
            rows = self._ordered[start : start + self.batch_size]
            filled = np.resize(rows, self.batch_size)
            longest = int(self.examples.lengths('inputs', rows).max())
            # Where no bucket holds the longest input, the store says which row it is.
            length = next((bucket for bucket in buckets if bucket >= longest), self.input_length)
            yield EvalBatch(rows, filled, self.examples.batch(filled, {'inputs': length})['inputs'])

    @functools.cached_property
    def _ordered(self) -> Int[np.ndarray, 'asked']:
        rows = np.sort(self.rows)
        return rows[np.argsort(self.examples.lengths('inputs', rows), kind='stable')]


def drawn_rows(n_rows: int, wanted: int | None, seed: int, group: int = 1) -> Int[np.ndarray, 'drawn']:
    """Rows of the examples that are asked, ascending: all, or as many as `wanted` drawn by `seed`.

    The draw depends on the number of rows alone, so that every system and every checkpoint gets the same.

    Args:
      n_rows: examples of the task.
      wanted: examples to ask, or None for all.
      seed: of the draw.
      group: rows that belong together and are asked together, such as the candidates of one user; `wanted`
        then counts groups.

    Raises:
      ValueError: when the rows are not whole groups.
    """
    if n_rows % group:
        raise ValueError(f'{n_rows} rows are no whole groups of {group}')
    groups = draw_rows(n_rows // group, wanted, seed)
    return (groups[:, None] * group + np.arange(group)).reshape(-1)
