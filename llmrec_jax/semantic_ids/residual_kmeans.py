"""Residual k-means: each level clusters what the levels before it left over."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Float

from llmrec_jax.semantic_ids.kmeans import fit_kmeans, nearest_centroids
from llmrec_jax.semantic_ids.quantization import Progress, Quantization, check_vectors


@dataclasses.dataclass(frozen=True)
class ResidualKMeans:
    """A residual quantizer without a network; GRID (peers) prefers it to the RQ-VAE.

    Attributes:
      codebook_sizes: number of codewords at each level.
      iterations: Lloyd's iterations a level.
      sample_size: centroids are fitted to at most so many items.
    """

    codebook_sizes: tuple[int, ...] = (256, 256, 256)
    iterations: int = 50
    sample_size: int = 65_536

    def quantize(
        self, vectors: Float[np.ndarray, 'items dim'], seed: int, progress: Progress | None = None
    ) -> Quantization:
        """Clusters the vectors, then the residuals, level by level.

        The history holds `relative_error`, the share of the vectors' variance that is left after each level.

        Raises:
          ValueError: on unfit vectors, or fewer distinct (residual) vectors than codewords at a level.
        """
        vectors = check_vectors(vectors, codewords=max(self.codebook_sizes))
        variance = float(np.square(vectors - vectors.mean(axis=0)).sum())
        residual, codes, errors = vectors, [], []
        for level, size in enumerate(self.codebook_sizes):
            key = jax.random.fold_in(jax.random.key(seed), level)
            try:
                centroids = fit_kmeans(
                    residual, size, key, iterations=self.iterations, sample_size=self.sample_size
                )
            except ValueError as error:
                raise ValueError(f'residual k-means, level {level}: {error}') from error
            codes.append(nearest_centroids(residual, centroids))
            residual = residual - centroids[codes[-1]]
            errors.append(float(np.square(residual).sum()) / variance if variance else 0.0)
            if progress is not None:
                progress(level + 1, len(self.codebook_sizes), {'relative_error': errors[-1]})
        return Quantization(
            codes=np.stack(codes, axis=1).astype(np.int32),
            codebook_sizes=self.codebook_sizes,
            reconstruction=vectors - residual,
            history={'relative_error': errors},
        )
