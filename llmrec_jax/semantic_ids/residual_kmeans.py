"""Residual k-means: each level clusters what the levels before it left over.

From points and codebooks to codes: the nearest codeword at each level, and who yields at the last.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray
from scipy.optimize import linear_sum_assignment

from llmrec_jax.semantic_ids.collisions import collision_rate, prefix_groups, shares_prefix
from llmrec_jax.semantic_ids.kmeans import fit_kmeans, nearest_centroids
from llmrec_jax.semantic_ids.quantization import Progress, Quantization, check_vectors


class Assignment(NamedTuple):
    """Points by their codewords.

    Attributes:
      codes: of each point, level by level.
      reconstruction: the points as the sum of their codewords.
      nearest_collision_rate: share of the points that share all their nearest codewords with another.
      moved_share: share of the points whose last codeword is not the nearest.
    """

    codes: Int[np.ndarray, 'items levels']
    reconstruction: Float[np.ndarray, 'items dim']
    nearest_collision_rate: float
    moved_share: float


def assign_codes(
    points: Float[np.ndarray, 'items dim'],
    codebooks: Sequence[Float[np.ndarray, '_ dim']],
    *,
    separate_collisions: bool,
) -> Assignment:
    """Residual quantization with given codebooks.

    Args:
      points: vectors or latents.
      codebooks: of each level.
      separate_collisions: whether items with equal codes are told apart at the last level, see
        `separated_last_codes`; TIGER's own rule (section 3.1) leaves every item its nearest codeword, and
        tells them apart at a level after the last one (`collisions.resolve`).
    """
    residual, codes = points, []
    for codebook in codebooks:
        codes.append(nearest_centroids(residual, codebook))
        last_residual, residual = residual, residual - codebook[codes[-1]]
    table = np.stack(codes, axis=1).astype(np.int32)
    nearest = table.copy()
    if separate_collisions:
        table[:, -1] = separated_last_codes(table, last_residual, codebooks[-1])
        residual = last_residual - codebooks[-1][table[:, -1]]
    moved_share = float((table[:, -1] != nearest[:, -1]).mean())
    return Assignment(table, points - residual, collision_rate(nearest), moved_share)


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


def residual_codebooks(
    points: Float[np.ndarray, 'items dim'],
    codebook_sizes: tuple[int, ...],
    key: PRNGKeyArray,
    iterations: int,
    sample_size: int,
) -> Iterator[tuple[Float[np.ndarray, '_ dim'], Float[np.ndarray, 'items dim']]]:
    """Codebooks by k-means on the points, then on what each codebook leaves; yields both, level by level.

    Raises:
      ValueError: if a level has more codewords than there are distinct points left, naming the level.
    """
    for level, size in enumerate(codebook_sizes):
        try:
            level_key = jax.random.fold_in(key, level)
            codebook = fit_kmeans(points, size, level_key, iterations=iterations, sample_size=sample_size)
        except ValueError as error:
            raise ValueError(f'level {level}: {error}') from error
        points = points - codebook[nearest_centroids(points, codebook)]
        yield codebook, points


@dataclasses.dataclass(frozen=True)
class ResidualKMeans:
    """A residual quantizer without a network; GRID (peers) prefers it to the RQ-VAE.

    Attributes:
      codebook_sizes: number of codewords at each level.
      iterations: Lloyd's iterations a level.
      sample_size: centroids are fitted to at most so many items.
      separate_collisions: whether the last level tells items with equal codes apart
        (`separated_last_codes`), or every item has its nearest codeword.
    """

    codebook_sizes: tuple[int, ...] = (256, 256, 256)
    iterations: int = 20
    sample_size: int = 65_536
    separate_collisions: bool = True

    @property
    def width_multiple(self) -> int:
        """What the vectors' width must be a multiple of: any will do."""
        return 1

    def at_most(self, codewords: int) -> 'ResidualKMeans':
        """The same with at most so many codewords a level."""
        return dataclasses.replace(
            self, codebook_sizes=tuple(min(size, codewords) for size in self.codebook_sizes)
        )

    def quantize(
        self, vectors: Float[np.ndarray, 'items dim'], seed: int, progress: Progress | None = None
    ) -> Quantization:
        """Clusters the vectors, then the residuals, level by level.

        The history holds `relative_error`, the share of the vectors' variance left after each level.

        Raises:
          ValueError: on unfit vectors, or fewer distinct (residual) vectors than codewords at a level.
        """
        vectors = check_vectors(vectors, codewords=max(self.codebook_sizes))
        variance = float(np.square(vectors - vectors.mean(axis=0)).sum())
        codebooks, errors = [], []
        for codebook, residual in residual_codebooks(
            vectors, self.codebook_sizes, jax.random.key(seed), self.iterations, self.sample_size
        ):
            codebooks.append(codebook)
            errors.append(float(np.square(residual).sum()) / variance if variance else 0.0)
            if progress is not None:
                progress(len(codebooks), len(self.codebook_sizes), {'relative_error': errors[-1]})
        assigned = assign_codes(vectors, codebooks, separate_collisions=self.separate_collisions)
        return Quantization(
            assigned.codes,
            self.codebook_sizes,
            assigned.reconstruction,
            {'relative_error': errors},
            assigned.nearest_collision_rate,
            assigned.moved_share,
        )
