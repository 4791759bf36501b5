"""Which items share a prefix of their codes, and the level that tells items with equal codes apart.

That level is TIGER's, section 3.1, 'handling collisions'.
"""

import math

import numpy as np
from jaxtyping import Bool, Int

from llmrec_jax.semantic_ids.quantization import check_codes


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


def resolve(
    codes: Int[np.ndarray, 'items levels'], codebook_sizes: tuple[int, ...], capacity: int | None = None
) -> tuple[Int[np.ndarray, 'items levels_plus_1'], tuple[int, ...]]:
    """Adds a level that counts 0, 1, 2, ... over the items of equal codes, in the order of their indices.

    Args:
      codes: the learned levels.
      codebook_sizes: their sizes.
      capacity: size of the added level; None sizes it by the most frequent tuple, and 0 adds none, for codes
        that are all different.

    Returns:
      Codes whose rows are all different, and the sizes with the added level's, where there is one.

    Raises:
      ValueError: if there are fewer tuples than items, or a tuple has more items than `capacity`.
    """
    check_codes(codes, codebook_sizes)
    if capacity is not None and capacity < 0:
        raise ValueError(f'capacity is the size of the collision level, 0 for none, not {capacity}')
    n_items, tuples = len(codes), math.prod(codebook_sizes)
    if tuples * (capacity or 1) < n_items:
        raise ValueError(
            f'codebook too small for the catalogue: codebooks of {codebook_sizes} codewords'
            + (f' and a collision level of {capacity}' if capacity else '')
            + f' make {tuples * (capacity or 1)} tuples for {n_items} items; '
            'use larger codebooks or more levels'
        )
    group = prefix_groups(codes)
    order = np.argsort(group, kind='stable')
    counts = np.bincount(group)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    extra = np.empty(n_items, codes.dtype)
    extra[order] = np.arange(n_items) - np.repeat(starts, counts)
    largest = int(counts.max(initial=1))
    if capacity is not None and largest > max(capacity, 1):
        crowded = codes[order[starts[counts.argmax()]]]
        cure = (
            f'the collision level tells only {capacity} apart: raise capacity, enlarge the codebooks, or '
            'look for items with equal text'
            if capacity
            else 'there is no level that tells them apart: add its size to TokenLayout.codebook_sizes, and a '
            'token an item to the feature lengths'
        )
        raise ValueError(
            f'{largest} items share the codes {tuple(int(code) for code in crowded)}, and {cure}'
        )
    if capacity == 0:
        return codes, codebook_sizes
    return np.concatenate([codes, extra[:, None]], axis=1), (*codebook_sizes, capacity or largest)
