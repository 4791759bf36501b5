"""The artifact of codes that describe items and need not tell them apart, as VQ-Rec's."""

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.semantic_ids.collisions import shares_prefix
from llmrec_jax.semantic_ids.product_quantization import ProductCodebooks
from llmrec_jax.semantic_ids.quantization import (
    check_codes,
    codes_fingerprint,
    read_codes,
    vectors_record,
    write_codes,
)


@dataclasses.dataclass(frozen=True)
class ItemCodes:
    """One row of codes an item. Items with equal rows are one and the same to a model that sees codes alone.

    A `CodeTable` is what a generative retriever needs: there every row is different.

    Attributes:
      codes: row `i` holds item `i`'s codes.
      codewords: number of codewords of every digit.
      provenance: what they were made from, as JSON-able values.

    Raises:
      ValueError: naming the row, when a code is none of the codewords.
    """

    codes: Int[np.ndarray, 'items digits']
    codewords: int
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        check_codes(self.codes, (self.codewords,) * self.codes.shape[1])

    @functools.cached_property
    def indistinguishable(self) -> int:
        """Number of items that have all their codes in common with another."""
        return int(shares_prefix(self.codes, self.codes.shape[1]).sum())

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 of the codes and the number of codewords."""
        return codes_fingerprint(self.codes, self.codewords)

    def save(self, path: str | os.PathLike) -> None:
        """Writes one `.npz` file; what was at `path` stays until the new file is complete."""
        manifest = {
            'codewords': self.codewords,
            'indistinguishable': self.indistinguishable,
            'provenance': dict(self.provenance),
            'fingerprint': self.fingerprint,
        }
        write_codes(path, self.codes, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'ItemCodes':
        """Reads what `save` wrote.

        Raises:
          FileNotFoundError: if there is nothing.
          ValueError: if the file is cut short, is something else, or its codes are not those that were saved.
        """
        return read_codes(
            path,
            'item codes',
            lambda codes, manifest: cls(codes, manifest['codewords'], manifest['provenance']),
        )


def code_items(
    vectors: Float[np.ndarray, 'items dim'],
    codebooks: ProductCodebooks,
    provenance: Mapping[str, Any] | None = None,
) -> ItemCodes:
    """Codes a domain's items by codebooks that were learned there or elsewhere.

    Args:
      vectors: of the items' text, from the encoder that the codebooks were learned with.
      codebooks: of a product quantiser.
      provenance: what is to be recorded, e.g. the encoder's name.

    Raises:
      ValueError: on unfit vectors, or vectors of another width than the codebooks'.
    """
    return ItemCodes(
        codebooks.encode(vectors),
        codebooks.codewords.shape[1],
        {
            **(provenance or {}),
            **vectors_record(vectors),
        },
    )
