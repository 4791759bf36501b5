"""From points and codebooks to codes: the nearest codeword at each level, and who yields at the last."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from llmrec_jax.semantic_ids.kmeans import nearest_centroids
from llmrec_jax.semantic_ids.prefixes import collision_rate, prefix_groups, shares_prefix


def assign_codes(
    points: Float[np.ndarray, 'items dim'],
    codebooks: Sequence[Float[np.ndarray, '_ dim']],
    *,
    separate_collisions: bool,
) -> tuple[Int[np.ndarray, 'items levels'], Float[np.ndarray, 'items dim'], float]:
    """Residual quantization with given codebooks.

    Args:
      points: vectors or latents.
      codebooks: of each level.
      separate_collisions: whether items with equal codes are told apart at the last level, see
        `separated_last_codes`.

    Returns:
      The codes, the points as the sum of their codewords, and the collision rate of the nearest codewords.
    """
    residual, codes = points, []
    for codebook in codebooks:
        codes.append(nearest_centroids(residual, codebook))
        last_residual, residual = residual, residual - codebook[codes[-1]]
    table = np.stack(codes, axis=1).astype(np.int32)
    nearest_collision_rate = collision_rate(table)
    if separate_collisions:
        table[:, -1] = separated_last_codes(table, last_residual, codebooks[-1])
        residual = last_residual - codebooks[-1][table[:, -1]]
    return table, points - residual, nearest_collision_rate


def separated_last_codes(
    codes: Int[np.ndarray, 'items levels'],
    residuals: Float[np.ndarray, 'items dim'],
    codebook: Float[np.ndarray, 'codewords dim'],
) -> Int[np.ndarray, 'items']:
    """Last codes under which items with the same earlier codes differ, at the least total squared distance.

    Text has near-duplicates (one polish in forty shades) that fall on one codeword whatever the codebook.
    Here some of them take near codewords that are free. LC-Rec and LETTER spread their last level by Sinkhorn
    iterations to the same end; this is the exact optimum. Where more items share the earlier codes than there
    are codewords, codewords are given out again, and the collision level tells those items apart.

    Args:
      codes: nearest codewords at every level.
      residuals: what the last level is given.
      codebook: of the last level.
    """
    last = codes[:, -1].copy()
    group = prefix_groups(codes[:, :-1])
    crowded = np.unique(group[shares_prefix(codes, codes.shape[1])])
    order = np.argsort(group, kind='stable')
    ends = np.cumsum(np.bincount(group))
    for number in crowded:
        members = order[ends[number - 1] if number else 0 : ends[number]]
        # Squared distances, less each item's own square, which no choice of codewords changes.
        distances = (codebook**2).sum(axis=1) - 2 * residuals[members] @ codebook.T
        distances -= distances.min()
        rounds = -(-len(members) // len(codebook))
        # A second item on a codeword costs more than any way of avoiding it.
        penalty = distances.max() * len(members)
        costs = np.concatenate([distances + again * penalty for again in range(rounds)], axis=1)
        rows, columns = linear_sum_assignment(costs)
        last[members[rows]] = columns % len(codebook)
    return last
