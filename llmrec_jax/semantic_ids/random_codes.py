"""Codes that know nothing of the items: the floor of every comparison of semantic IDs."""

import dataclasses

import numpy as np
from jaxtyping import Float

from llmrec_jax.semantic_ids.additive_decoder import additive_reconstruction
from llmrec_jax.semantic_ids.quantization import Progress, Quantization, check_vectors


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
