"""Item vectors from codes alone, for quantizers that have no decoder of their own."""

import numpy as np
from jaxtyping import Float, Int


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
