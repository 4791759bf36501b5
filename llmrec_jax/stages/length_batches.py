"""Histories in batches of like length, so that little is padded and few programs are compiled."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int


def length_batches(
    lengths: Int[np.ndarray, 'histories'], batch_size: int, widths: Sequence[int]
) -> Iterator[tuple[Int[np.ndarray, 'rows'], Int[np.ndarray, 'batch'], int]]:
    """Every history once, shortest first; the last batch is filled up with repeats.

    Args:
      lengths: items that are read of each history.
      batch_size: histories at once.
      widths: what a batch may be padded to; the largest is at least as long as the longest history.

    Yields:
      The rows of a batch, the same filled up to `batch_size`, and the least width that holds them.
    """
    order = np.argsort(lengths, kind='stable')
    allowed = sorted(set(widths))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        width = next(width for width in allowed if width >= lengths[rows].max())
        yield rows, np.resize(rows, batch_size), width
