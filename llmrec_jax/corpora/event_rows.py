"""In which order the rows of a table of events stand, and which of them come again; by whole columns."""

import numpy as np
from jaxtyping import Int

# Odd numbers without a pattern, one a column.
_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93)


def sorted_rows(
    group: Int[np.ndarray, 'rows'],
    value: Int[np.ndarray, 'rows'],
    rank: Int[np.ndarray, 'rows'] | None = None,
) -> Int[np.ndarray, 'rows']:
    """The rows sorted by group, then value, then rank.

    Args:
      group: not negative.
      value: any numbers.
      rank: what orders rows of equal group and value; None leaves those as they come.
    """
    if not len(group):
        return np.zeros(0, np.int64)
    low, groups = int(value.min()), int(group.max()) + 1
    span = int(value.max()) - low + 1
    if span * groups >= 1 << 63:
        low, value = 0, np.unique(value, return_inverse=True)[1]
        span = int(value.max()) + 1
    key = group.astype(np.int64)
    key *= span
    # What overflows here comes back in the next line.
    key += value
    key -= low
    order = np.argsort(key)
    key = key[order]
    same = key[1:] == key[:-1]
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        rows = order[tied]
        order[tied] = rows[np.lexsort((rows if rank is None else rank[rows], key[tied]))]
    return order


def repeated_rows(
    *columns: Int[np.ndarray, 'rows'],
) -> tuple[Int[np.ndarray, 'repeated'], Int[np.ndarray, 'repeated']]:
    """The rows that are equal to an earlier one in all of at most three columns, and the first of each kind.

    Both are in the order of the rows.
    """
    mixed = _mixed(columns)
    mixed.sort()
    twice = mixed[1:][mixed[1:] == mixed[:-1]]
    if not len(twice):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    twice = np.unique(twice)
    mixed = _mixed(columns)
    place = np.searchsorted(twice, mixed)
    suspects = np.flatnonzero(twice[np.minimum(place, len(twice) - 1)] == mixed)
    parts = [column[suspects] for column in columns]
    order = np.lexsort(parts)
    again = np.ones(len(order), bool)
    again[0] = False
    for part in parts:
        again[1:] &= part[order[1:]] == part[order[:-1]]
    begins = np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))
    rows, first = suspects[order[again]], suspects[order[begins[again]]]
    by_row = np.argsort(rows)
    return rows[by_row], first[by_row]


def runs(starts: Int[np.ndarray, 'runs'], lengths: Int[np.ndarray, 'runs']) -> Int[np.ndarray, 'rows']:
    """The rows of runs of consecutive rows, one run after the other."""
    ends = np.cumsum(lengths)
    rows = np.repeat(starts - ends + lengths, lengths)
    rows += np.arange(len(rows))
    return rows


def _mixed(columns: tuple[Int[np.ndarray, 'rows'], ...]) -> np.ndarray:
    """One number a row: rows of different numbers are different, and hardly any others have the same."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column, factor in zip(columns, _FACTORS):
        mixed += np.multiply(column, np.uint64(factor), dtype=np.uint64, casting='unsafe')
    return mixed
