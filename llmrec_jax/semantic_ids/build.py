"""From item vectors to the code table, in one call."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.collisions import resolve
from llmrec_jax.semantic_ids.prefixes import collision_rate
from llmrec_jax.semantic_ids.quantization import Progress, Quantization, Quantizer


def build_code_table(
    vectors: Float[np.ndarray, 'items dim'],
    quantizer: Quantizer,
    *,
    seed: int,
    capacity: int | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[CodeTable, Quantization]:
    """Quantizes the vectors, tells colliding items apart, and writes down what the table was made from.

    Args:
      vectors: one row an item.
      quantizer: a dataclass; its fields go into the provenance.
      seed: of the quantizer.
      capacity: size of the collision level; None sizes it by need.
      provenance: more to be recorded, e.g. the text encoder's name and the corpus's fingerprint.
      progress: called as the quantizer proceeds.

    Raises:
      ValueError: on unfit vectors, codebooks that do not fit the catalogue, or too many collisions.
    """
    quantization = quantizer.quantize(vectors, seed, progress)
    codes, sizes = resolve(quantization.codes, quantization.codebook_sizes, capacity)
    record = {
        **(provenance or {}),
        'vectors_sha256': hashlib.sha256(np.ascontiguousarray(vectors, '<f4').tobytes()).hexdigest(),
        'vectors_shape': list(vectors.shape),
        'quantizer': {'class': type(quantizer).__name__, **dataclasses.asdict(quantizer)},
        'seed': seed,
        'learned_levels': len(quantization.codebook_sizes),
        'collision_rate': collision_rate(quantization.codes),
    }
    return CodeTable(codes, sizes, record), quantization
