"""Records in columns: numbers, texts, and rows of item indices."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import Sequences


@dataclasses.dataclass(frozen=True)
class Records(Sequence):
    """A table of records; record `i` is a mapping of its columns and `record`, which is `i`.

    Attributes:
      columns: an int64 array, a list of texts, or `Sequences`, each with one row a record.

    Raises:
      ValueError: when there are no columns, or they differ in length.
    """

    columns: Mapping[str, np.ndarray | Sequences | list[str]]

    def __post_init__(self):
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f'records need columns of one length, and got lengths {lengths}')

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, row: int) -> dict[str, Any]:
        if not 0 <= row < len(self):
            raise IndexError(f'there are {len(self)} records, none has the number {row}')
        return {**{name: column[row] for name, column in self.columns.items()}, 'record': row}

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'Records':
        """The records at `rows`, in that order and numbered anew."""
        taken = {}
        for name, column in self.columns.items():
            if isinstance(column, Sequences):
                taken[name] = take_rows(column, rows)
            else:
                taken[name] = (
                    [column[row] for row in rows.tolist()] if isinstance(column, list) else column[rows]
                )
        return Records(taken)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[row] for row in range(len(self)))


def take_rows(sequences: Sequences, rows: Int[np.ndarray, 'chosen']) -> Sequences:
    """The rows of `sequences` at `rows`, in that order."""
    lengths = sequences.lengths[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    moved = np.repeat(sequences.offsets[rows] - offsets[:-1], lengths)
    return Sequences(sequences.values[moved + np.arange(offsets[-1])], offsets)
