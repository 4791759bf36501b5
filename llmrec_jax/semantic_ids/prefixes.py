"""Which items share a prefix of their codes: the question behind collisions and diagnostics alike."""

import numpy as np
from jaxtyping import Bool, Int


def prefix_groups(codes: Int[np.ndarray, 'items levels']) -> Int[np.ndarray, 'items']:
    """A number for each distinct row of `codes`, counted from 0 in the rows' lexicographic order."""
    if codes.shape[1] == 0:
        return np.zeros(len(codes), np.int64)
    _, group = np.unique(codes, axis=0, return_inverse=True)
    return group.reshape(-1).astype(np.int64)


def shares_prefix(codes: Int[np.ndarray, 'items levels'], length: int) -> Bool[np.ndarray, 'items']:
    """Whether another item has the same first `length` codes."""
    group = prefix_groups(codes[:, :length])
    return np.bincount(group)[group] > 1


def collision_rate(codes: Int[np.ndarray, 'items levels']) -> float:
    """Share of items that share all of their codes with another item."""
    return float(shares_prefix(codes, codes.shape[1]).mean())
