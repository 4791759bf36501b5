"""Runs a SeqIO task once and keeps its examples as columns, so that training imports no TensorFlow."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seqio

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.training.columns import ColumnStore, write_columns

BATCH = 4096


def materialise(
    task: str,
    split: str,
    directory: str | os.PathLike,
    *,
    feature_lengths: Mapping[str, int],
    kept: Sequence[str] = (),
    provenance: Mapping[str, Any],
) -> ColumnStore:
    """Writes every example of `split`, unpadded, in the task's own order.

    Args:
      task: a name in SeqIO's registry of tasks or mixtures.
      split: e.g. 'train'.
      directory: of the columns; see `training.columns`.
      feature_lengths: SeqIO's `sequence_length`, in tokens.
      kept: integer fields beside the task's features that go along, e.g. 'user'.
      provenance: what the examples were made from.

    Raises:
      ColumnError: when the split is empty.
    """
    provider = seqio.get_mixture_or_task(task)
    dataset = provider.get_dataset(
        sequence_length=dict(feature_lengths), split=split, shuffle=False, num_epochs=1
    )
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in (*feature_lengths, *kept)}
    for batch in dataset.ragged_batch(BATCH):
        for name, collected in parts.items():
            collected.append(_values_and_lengths(batch[name]))
    columns = {}
    for name, collected in parts.items():
        values = [part for part, _ in collected] or [np.zeros(0, np.int32)]
        lengths = [part for _, part in collected] or [np.zeros(0, np.int64)]
        columns[name] = Sequences(
            np.concatenate(values), np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        )
    return write_columns(directory, columns, {'task': task, 'split': split, **provenance})


def _values_and_lengths(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """The flat values and row lengths of a batch of ragged rows, rows of one length, or scalars."""
    if hasattr(column, 'row_lengths'):
        return column.flat_values.numpy(), column.row_lengths().numpy()
    rows = column.numpy()
    return rows.reshape(-1), np.full(len(rows), int(np.prod(rows.shape[1:])), np.int64)
