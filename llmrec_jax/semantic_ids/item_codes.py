"""The artifact of codes that describe items and need not tell them apart, as VQ-Rec's."""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax import files
from llmrec_jax.semantic_ids.collisions import shares_prefix
from llmrec_jax.semantic_ids.product_quantization import ProductCodebooks
from llmrec_jax.semantic_ids.quantization import check_codes


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
        digest = hashlib.sha256(json.dumps([list(self.codes.shape), self.codewords]).encode())
        digest.update(np.ascontiguousarray(self.codes, '<i4').tobytes())
        return digest.hexdigest()

    def save(self, path: str | os.PathLike) -> None:
        """Writes one `.npz` file; what was at `path` stays until the new file is complete."""
        manifest = {
            'codewords': self.codewords,
            'indistinguishable': self.indistinguishable,
            'provenance': dict(self.provenance),
            'fingerprint': self.fingerprint,
        }
        with files.written_whole(path) as file:
            np.savez_compressed(file, codes=self.codes.astype('<i4'), manifest=np.array(json.dumps(manifest)))

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'ItemCodes':
        """Reads what `save` wrote.

        Raises:
          FileNotFoundError: if there is nothing.
          ValueError: if the file is cut short, is something else, or its codes are not those that were saved.
        """
        path = pathlib.Path(path)
        try:
            with np.load(path, allow_pickle=False) as content:
                manifest = json.loads(str(content['manifest']))
                found = cls(content['codes'].astype(np.int32), manifest['codewords'], manifest['provenance'])
            intact = found.fingerprint == manifest['fingerprint']
        except FileNotFoundError:
            raise
        except (zipfile.BadZipFile, EOFError, KeyError, TypeError, ValueError, OSError) as error:
            raise ValueError(f'{path} holds no complete item codes ({error}): make them anew') from error
        if not intact:
            raise ValueError(f'{path}: the codes are not those that were saved; make them anew')
        return found


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
            'vectors_sha256': hashlib.sha256(np.ascontiguousarray(vectors, '<f4').tobytes()).hexdigest(),
            'vectors_shape': list(vectors.shape),
        },
    )
