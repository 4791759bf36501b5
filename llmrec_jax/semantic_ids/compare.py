"""One table over quantizers, all given the same vectors."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from llmrec_jax.semantic_ids.collisions import resolve
from llmrec_jax.semantic_ids.diagnostics import diagnose
from llmrec_jax.semantic_ids.quantization import Quantizer


def compare_quantizers(
    quantizers: Mapping[str, Quantizer], vectors: Float[np.ndarray, 'items dim'], seed: int
) -> list[dict[str, Any]]:
    """Quantizes the vectors with each and measures the result.

    Returns:
      A row a quantizer, in the given order: `quantizer`, `seconds`, `levels`, `lowest_usage` and
      `lowest_perplexity` over the levels, `shared_1`, `shared_2`, ... (share of items with so many first
      codes in common with another), `collision_rate`, `nearest_collision_rate`,
      `collision_level_size`, `identical_vectors`, `reconstruction_error`,
      `similarity_1`, ... (mean cosine within a shared prefix) and `random_similarity`.
    """
    rows = []
    for name, quantizer in quantizers.items():
        start = time.perf_counter()
        quantization = quantizer.quantize(vectors, seed)
        seconds = time.perf_counter() - start
        figures = diagnose(quantization, vectors, seed=seed)
        _, sizes = resolve(quantization.codes, quantization.codebook_sizes)
        rows.append(
            {
                'quantizer': name,
                'seconds': seconds,
                'levels': len(figures['codebook_sizes']),
                'lowest_usage': min(figures['usage']),
                'lowest_perplexity': min(figures['perplexity']),
                **{f'shared_{n}': share for n, share in enumerate(figures['shared_prefix'], start=1)},
                'collision_rate': figures['collision_rate'],
                'nearest_collision_rate': figures['nearest_collision_rate'],
                'collision_level_size': sizes[-1],
                'identical_vectors': figures['identical_vectors'],
                'reconstruction_error': figures['reconstruction_error'],
                **{f'similarity_{n}': value for n, value in enumerate(figures['prefix_similarity'], start=1)},
                'random_similarity': figures['random_similarity'],
            }
        )
    return rows
