"""The artifact of semantic-ID learning: which tuple of codes is which item, and what that was made from.

`build_code_table` makes one from item vectors.
"""

import dataclasses
import functools
import hashlib
import json
import math
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax import files
from llmrec_jax.semantic_ids.collisions import collision_rate, resolve
from llmrec_jax.semantic_ids.quantization import Progress, Quantization, Quantizer, check_codes


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
        if math.prod(self.codebook_sizes) >= 2**63:
            raise ValueError(f'codebooks of {self.codebook_sizes} make more tuples than 64 bits can number')
        keys, items = self._sorted_keys
        repeated = np.flatnonzero(keys[1:] == keys[:-1])
        if len(repeated):
            first, second = items[repeated[0]], items[repeated[0] + 1]
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
        digest = hashlib.sha256(json.dumps([list(self.codes.shape), list(self.codebook_sizes)]).encode())
        digest.update(np.ascontiguousarray(self.codes, '<i4').tobytes())
        return digest.hexdigest()

    def items_of(self, codes: Int[np.ndarray, '*batch levels']) -> Int[np.ndarray, '*batch']:
        """The items that have these codes; -1 where no item has them."""
        inside = ((codes >= 0) & (codes < np.asarray(self.codebook_sizes))).all(axis=-1)
        keys, items = self._sorted_keys
        wanted = self._keys(np.where(inside[..., None], codes, 0))
        position = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.asarray(np.where(inside & (keys[position] == wanted), items[position], -1))

    def save(self, path: str | os.PathLike) -> None:
        """Writes the table as one `.npz` file; what was at `path` stays until the new file is complete."""
        manifest = {
            'codebook_sizes': list(self.codebook_sizes),
            'provenance': dict(self.provenance),
            'fingerprint': self.fingerprint,
        }
        with files.written_whole(path) as file:
            np.savez_compressed(file, codes=self.codes.astype('<i4'), manifest=np.array(json.dumps(manifest)))

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'CodeTable':
        """Reads a table that `save` wrote.

        Raises:
          FileNotFoundError: if there is none.
          ValueError: if the file is cut short, is something else, or its codes are not those that were saved.
        """
        path = pathlib.Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f'no code table at {path}: make it with python -m llmrec_jax.semantic_ids'
            )
        try:
            with np.load(path, allow_pickle=False) as content:
                codes = content['codes']
                manifest = json.loads(str(content['manifest']))
            table = cls(codes.astype(np.int32), tuple(manifest['codebook_sizes']), manifest['provenance'])
            intact = table.fingerprint == manifest['fingerprint']
        except (zipfile.BadZipFile, EOFError, KeyError, TypeError, ValueError, OSError) as error:
            raise ValueError(
                f'{path} is not a complete code table ({error}): delete it and make it anew'
            ) from error
        if not intact:
            raise ValueError(f'{path}: the codes are not those that were saved; delete it and make it anew')
        return table

    @functools.cached_property
    def _sorted_keys(self) -> tuple[Int[np.ndarray, 'items'], Int[np.ndarray, 'items']]:
        keys = self._keys(self.codes)
        order = np.argsort(keys, kind='stable')
        return keys[order], order

    def _keys(self, codes: Int[np.ndarray, '*batch levels']) -> Int[np.ndarray, '*batch']:
        """Each tuple as one number, the first level most significant."""
        keys = np.zeros(codes.shape[:-1], np.int64)
        # In place: `keys * size` would turn a 0-d array, one tuple's key, into a NumPy scalar.
        for level, size in enumerate(self.codebook_sizes):
            keys *= size
            keys += codes[..., level]
        return keys


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
