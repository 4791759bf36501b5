"""Quantizers that learn nothing: the sides of random hyperplanes (LSH), and random codes.

Random codes know nothing of the items, so they are the baseline of every comparison of semantic IDs.
Vectors are made again from codes by adding up one codeword a level.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.semantic_ids.quantization import Progress, Quantization, check_vectors


def additive_reconstruction(
    vectors: Float[np.ndarray, 'items dim'],
    codes: Int[np.ndarray, 'items levels'],
    codebook_sizes: tuple[int, ...],
) -> Float[np.ndarray, 'items dim']:
    """The vectors as a sum of one codeword a level, each the mean of what the levels before it left over.

    It is what residual k-means reconstructs from its own codes, so errors of all quantizers compare.
    """
    residual = vectors.astype(np.float64)
    for level, size in enumerate(codebook_sizes):
        members = codes[:, level]
        counts = np.maximum(np.bincount(members, minlength=size), 1)
        sums = np.zeros((size, vectors.shape[1]))
        np.add.at(sums, members, residual)
        residual = residual - (sums / counts[:, None])[members]
    return (vectors - residual).astype(np.float32)


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


@dataclasses.dataclass(frozen=True)
class RandomCodes:
    """Codes drawn uniformly (papers: TIGER 4.3, ablation).

    Attributes:
      codebook_sizes: number of codewords at each level.
    """

    codebook_sizes: tuple[int, ...] = (256, 256, 256)

    def quantize(
        self, vectors: Float[np.ndarray, 'items dim'], seed: int, progress: Progress | None = None
    ) -> Quantization:
        """Draws the codes; the vectors serve to measure what such codes can reconstruct.

        Raises:
          ValueError: on unfit vectors.
        """
        vectors = check_vectors(vectors)
        shape = (len(vectors), len(self.codebook_sizes))
        codes = np.random.default_rng(seed).integers(0, self.codebook_sizes, shape, dtype=np.int32)
        if progress is not None:
            progress(1, 1, {})
        reconstruction = additive_reconstruction(vectors, codes, self.codebook_sizes)
        return Quantization(codes, self.codebook_sizes, reconstruction, history={})
