"""Residual k-means: each level clusters what the levels before it left over."""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from llmrec_jax.semantic_ids.assignment import assign_codes
from llmrec_jax.semantic_ids.kmeans import fit_kmeans, nearest_centroids
from llmrec_jax.semantic_ids.quantization import Progress, Quantization, check_vectors


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
      separate_collisions: whether the last level tells items with equal codes apart (`assignment.py`), or
        every item has its nearest codeword.
    """

    codebook_sizes: tuple[int, ...] = (256, 256, 256)
    iterations: int = 20
    sample_size: int = 65_536
    separate_collisions: bool = True

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
        codes, reconstruction, nearest_collision_rate = assign_codes(
            vectors, codebooks, separate_collisions=self.separate_collisions
        )
        return Quantization(
            codes, self.codebook_sizes, reconstruction, {'relative_error': errors}, nearest_collision_rate
        )
