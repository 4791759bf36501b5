"""The artifact of semantic-ID learning: which tuple of codes is which item, and what that was made from.

`build_code_table` makes one from item vectors.
"""

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.semantic_ids.collisions import collision_rate, resolve
from llmrec_jax.semantic_ids.quantization import (
    Progress,
    Quantization,
    Quantizer,
    check_codes,
    codes_fingerprint,
    read_codes,
    vectors_record,
    write_codes,
)


@dataclasses.dataclass(frozen=True)
class CodeTable:
    """One tuple of codes an item; no two items have the same.

    Attributes:
      codes: row `i` is item `i`'s semantic ID, collision level included.
      codebook_sizes: number of codewords at each level.
      provenance: what it was made from, as JSON-able values: sha256 of the vectors, the quantizer's settings,
        the seed.
    """

    codes: Int[np.ndarray, 'items levels']
    codebook_sizes: tuple[int, ...]
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        check_codes(self.codes, self.codebook_sizes)
        order = np.lexsort(self.codes.T[::-1])
        ordered = self.codes[order]
        repeated = np.flatnonzero((ordered[1:] == ordered[:-1]).all(axis=1))
        if len(repeated):
            first, second = order[repeated[0]], order[repeated[0] + 1]
            raise ValueError(
                f'items {first} and {second} have the same codes {tuple(int(c) for c in self.codes[first])}: '
                f'resolve collisions first (llmrec_jax.semantic_ids.collisions.resolve)'
            )

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.codes.shape[0]

    @property
    def n_levels(self) -> int:
        """Number of codes an item has."""
        return self.codes.shape[1]

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 of the codes and the codebook sizes: what a model trained on the table depends on."""
        return codes_fingerprint(self.codes, list(self.codebook_sizes))

    def save(self, path: str | os.PathLike) -> None:
        """Writes the table as one `.npz` file; what was at `path` stays until the new file is complete."""
        manifest = {
            'codebook_sizes': list(self.codebook_sizes),
            'provenance': dict(self.provenance),
            'fingerprint': self.fingerprint,
        }
        write_codes(path, self.codes, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'CodeTable':
        """Reads a table that `save` wrote.

        Raises:
          FileNotFoundError: if there is none.
          ValueError: if the file is cut short, is something else, or its codes are not those that were saved.
        """
        return read_codes(
            path,
            'code table (of python -m llmrec_jax.semantic_ids)',
            lambda codes, manifest: cls(codes, tuple(manifest['codebook_sizes']), manifest['provenance']),
        )


def build_code_table(
    vectors: Float[np.ndarray, 'items dim'],
    quantizer: Quantizer,
    *,
    seed: int,
    codebook_sizes: tuple[int, ...] | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[CodeTable, Quantization]:
    """Quantizes the vectors, tells colliding items apart, and writes down what the table was made from.

    Args:
      vectors: one row an item.
      quantizer: a dataclass; its fields go into the provenance.
      seed: of the quantizer.
      codebook_sizes: that the table must have: those of the learned levels, and last that of the level that
        tells colliding items apart, which may be missing where no two collide; None for a collision level
        sized by need.
      provenance: more to be recorded, e.g. the text encoder's name and the corpus's fingerprint.
      progress: called as the quantizer proceeds.

    Raises:
      ValueError: on unfit vectors, codebooks that do not fit the catalogue or are not `codebook_sizes`, or
        too many collisions.
    """
    quantization = quantizer.quantize(vectors, seed, progress)
    learned = tuple(quantization.codebook_sizes)
    capacity = None
    if codebook_sizes is not None:
        if codebook_sizes[: len(learned)] != learned or len(codebook_sizes) > len(learned) + 1:
            raise ValueError(
                f'the quantizer makes codebooks of {learned}, but TokenLayout.codebook_sizes is '
                f'{codebook_sizes}: these sizes, and at most one more for the level that tells colliding '
                'items apart'
            )
        capacity = sum(codebook_sizes[len(learned) :])
    codes, sizes = resolve(quantization.codes, learned, capacity)
    record = {
        **(provenance or {}),
        **vectors_record(vectors),
        'quantizer': {'class': type(quantizer).__name__, **dataclasses.asdict(quantizer)},
        'seed': seed,
        'learned_levels': len(learned),
        'collision_rate': collision_rate(quantization.codes),
    }
    return CodeTable(codes, sizes, record), quantization
