"""Locality-sensitive hashing: codes from the sides of random hyperplanes, with nothing learned."""

import dataclasses

import numpy as np
from jaxtyping import Float

from llmrec_jax.semantic_ids.additive_decoder import additive_reconstruction
from llmrec_jax.semantic_ids.quantization import Progress, Quantization, check_vectors


@dataclasses.dataclass(frozen=True)
class Lsh:
    """The code of a level is the number whose bit `b` is `sign(w_b . x)` (papers: TIGER 4.3, ablation).

    Hyperplanes pass through the mean of the vectors: text vectors point the same way, and planes through the
    origin would leave most items on one side.

    Attributes:
      n_levels: hashes an item; the paper has 4, here 3 leave the fourth token to collisions.
      n_hyperplanes: bits a hash, hence `2 ** n_hyperplanes` codewords a level.
    """

    n_levels: int = 3
    n_hyperplanes: int = 8

    def hyperplanes(self, dim: int, seed: int) -> Float[np.ndarray, 'levels hyperplanes dim']:
        """The normals `w`, drawn from a standard normal distribution."""
        shape = (self.n_levels, self.n_hyperplanes, dim)
        return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)

    def quantize(
        self, vectors: Float[np.ndarray, 'items dim'], seed: int, progress: Progress | None = None
    ) -> Quantization:
        """Hashes the vectors; the lowest bit belongs to the first hyperplane.

        Raises:
          ValueError: on unfit vectors.
        """
        vectors = check_vectors(vectors)
        sides = np.einsum(
            'lbd,nd->nlb', self.hyperplanes(vectors.shape[1], seed), vectors - vectors.mean(axis=0)
        )
        codes = ((sides > 0) @ (1 << np.arange(self.n_hyperplanes))).astype(np.int32)
        sizes = (2**self.n_hyperplanes,) * self.n_levels
        if progress is not None:
            progress(1, 1, {})
        return Quantization(codes, sizes, additive_reconstruction(vectors, codes, sizes), history={})
