"""What every quantizer takes and returns: item vectors in, one code a level out; and codes as files."""

import dataclasses
import hashlib
import json
import os
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax import files

Codes = TypeVar('Codes')

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called with (units of work done, units in all, the latest figures)."""


@dataclasses.dataclass(frozen=True)
class Quantization:
    """The learned levels of every item's semantic ID.

    Attributes:
      codes: `codes[i, l]` is item `i`'s codeword at level `l`, in `[0, codebook_sizes[l])`.
      codebook_sizes: number of codewords at each level.
      reconstruction: the vectors as the codes alone give them back.
      history: figures by name, one value a round of training or a level; empty where nothing was trained.
      nearest_collision_rate: the collision rate if every item had its nearest codewords; None where the
        quantizer knows no nearest.
      moved_share: share of the items whose last code is not the nearest, so that they differ from others;
        None likewise.
    """

    codes: Int[np.ndarray, 'items levels']
    codebook_sizes: tuple[int, ...]
    reconstruction: Float[np.ndarray, 'items dim']
    history: dict[str, list[float]]
    nearest_collision_rate: float | None = None
    moved_share: float | None = None

    def __post_init__(self):
        check_codes(self.codes, self.codebook_sizes)


@runtime_checkable
class Quantizer(Protocol):
    """A configured way from item vectors to codes; a pure function of the vectors and the seed."""

    def quantize(
        self, vectors: Float[np.ndarray, 'items dim'], seed: int, progress: Progress | None = None
    ) -> Quantization:
        """Gives every item one code a level."""
        ...


def check_vectors(
    vectors: Float[np.ndarray, 'items dim'], *, codewords: int = 1
) -> Float[np.ndarray, 'items dim']:
    """The vectors as float32.

    Args:
      vectors: one row an item.
      codewords: size of the largest codebook that is to be fitted to them.

    Raises:
      ValueError: if they are not a table of finite numbers, or fewer than the codewords.
    """
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f'item vectors must be a non-empty table [items, dim], not of shape {vectors.shape}')
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        raise ValueError(
            f'{len(broken)} item vectors hold NaN or infinity, the first at row {broken[0]}: '
            f"look at that item's text and at the encoder"
        )
    if len(vectors) < codewords:
        raise ValueError(
            f'codebook too large for the catalogue: {codewords} codewords for {len(vectors)} items; '
            f'use codebooks of at most {len(vectors)} codewords'
        )
    return np.ascontiguousarray(vectors, np.float32)


def check_codes(codes: Int[np.ndarray, 'items levels'], codebook_sizes: tuple[int, ...]) -> None:
    """Raises ValueError, naming the row, unless `0 <= codes[:, l] < codebook_sizes[l]` at every level."""
    if codes.shape[1] != len(codebook_sizes):
        raise ValueError(f'codes have {codes.shape[1]} levels, codebook_sizes {len(codebook_sizes)}')
    if min(codebook_sizes, default=0) < 1:
        raise ValueError(f'every level needs at least one codeword, codebook_sizes are {codebook_sizes}')
    rows, levels = np.nonzero((codes < 0) | (codes >= np.asarray(codebook_sizes)[None, :]))
    if len(rows):
        row, level = int(rows[0]), int(levels[0])
        raise ValueError(
            f'item {row} has code {int(codes[row, level])} at level {level}, '
            f'whose codebook has {codebook_sizes[level]} codewords'
        )


def codes_fingerprint(codes: Int[np.ndarray, 'items levels'], sizes: Any) -> str:
    """sha256 of the codes and the sizes of their codebooks, as JSON has these."""
    digest = hashlib.sha256(json.dumps([list(codes.shape), sizes]).encode())
    digest.update(np.ascontiguousarray(codes, '<i4').tobytes())
    return digest.hexdigest()


def vectors_record(vectors: Float[np.ndarray, 'items dim']) -> dict[str, Any]:
    """What the provenance of codes says of the vectors that they were made from."""
    digest = hashlib.sha256(np.ascontiguousarray(vectors, '<f4').tobytes()).hexdigest()
    return {'vectors_sha256': digest, 'vectors_shape': list(vectors.shape)}


def write_codes(
    path: str | os.PathLike, codes: Int[np.ndarray, 'items levels'], manifest: Mapping[str, Any]
) -> None:
    """Writes codes as one `.npz` file; what was at `path` stays until the new file is complete.

    Args:
      path: of the file.
      codes: one row an item.
      manifest: JSON-able; its 'fingerprint' vouches for the codes.
    """
    with files.written_whole(path) as file:
        np.savez_compressed(file, codes=codes.astype('<i4'), manifest=np.array(json.dumps(manifest)))


def read_codes(
    path: str | os.PathLike,
    what: str,
    make: Callable[[Int[np.ndarray, 'items levels'], Mapping[str, Any]], Codes],
) -> Codes:
    """Reads what `write_codes` wrote.

    Args:
      path: of the file.
      what: the file's content, for errors.
      make: from codes and manifest what the file holds, which has a `fingerprint`.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if the file is cut short, is something else, or its codes are not those that were saved.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no {what} at {path}: make it first')
    try:
        with np.load(path, allow_pickle=False) as content:
            manifest = json.loads(str(content['manifest']))
            made = make(content['codes'].astype(np.int32), manifest)
        intact = made.fingerprint == manifest['fingerprint']
    except (zipfile.BadZipFile, EOFError, KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(f'{path} holds no complete {what} ({error}): delete it and make it anew') from error
    if not intact:
        raise ValueError(f'{path}: the codes are not those that were saved; delete it and make it anew')
    return made
