"""What every quantizer takes and returns: item vectors in, one code a level out."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

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
    """

    codes: Int[np.ndarray, 'items levels']
    codebook_sizes: tuple[int, ...]
    reconstruction: Float[np.ndarray, 'items dim']
    history: dict[str, list[float]]
    nearest_collision_rate: float | None = None

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
