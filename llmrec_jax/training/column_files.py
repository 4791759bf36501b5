"""The files of a column store: their names, their manifest, and the checksums that vouch for them.

A shard's arrays are memory-mapped; their blocks are checked when they are first read.
"""

import functools
import hashlib
import json
import os
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped, UInt32

from llmrec_jax.files import read_text

FORMAT = 2
MANIFEST = 'manifest.json'
VALUES, OFFSETS = 'values', 'offsets'
# Little-endian on every machine, because stores are copied from one to another.
DTYPES: Mapping[str, np.dtype] = {VALUES: np.dtype('<i4'), OFFSETS: np.dtype('<i8')}
CHECKSUM = np.dtype('<u4')
# What one checksum covers: little enough to check for one example's sake, enough for a small table.
BLOCK_BYTES = 1 << 16


class ColumnError(ValueError):
    """A column store that is missing, damaged or lacks a feature; the message names the file and the cure."""


def local_folder(directory: str | os.PathLike) -> pathlib.Path:
    """The folder, which must be one that can be memory-mapped.

    Raises:
      ColumnError: for an address such as `gs://…`.
    """
    if '://' in os.fspath(directory):
        raise ColumnError(
            f'{directory}: examples are memory-mapped, so they lie on a local or a mounted disk; '
            f'copy them to one, or mount the bucket'
        )
    return pathlib.Path(directory)


def data_file(feature: str, part: str, shard: int, num_shards: int) -> str:
    """Name of the file with the values or the offsets of a feature in one shard."""
    return f'{feature}.{part}-{shard:05d}-of-{num_shards:05d}'


def checksum_file(shard: int, num_shards: int) -> str:
    """Name of the file with the checksums of all blocks of a shard, file after file."""
    return f'checksums-{shard:05d}-of-{num_shards:05d}'


def shard_rows(rows: int, shard: int, num_shards: int) -> int:
    """Rows in a shard, where row `i` is dealt to shard `i % num_shards`."""
    return len(range(shard, rows, num_shards))


def blocks(size: int) -> int:
    """Number of blocks in so many bytes."""
    return -(-size // BLOCK_BYTES)


def block_checksums(path: pathlib.Path) -> UInt32[np.ndarray, 'blocks']:
    """CRC-32 of each block of a file."""
    with path.open('rb') as file:
        found = [zlib.crc32(block) for block in iter(lambda: file.read(BLOCK_BYTES), b'')]
    return np.array(found, CHECKSUM)


def read_manifest(directory: pathlib.Path) -> dict[str, Any]:
    """What `manifest.json` says.

    Raises:
      ColumnError: when there is none, or none of this format.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise ColumnError(f'{path}: not found, so {directory} holds no examples; write the examples again')
    mend = f'delete {directory} and write the examples again'
    try:
        manifest = json.loads(read_text(path))
    except ValueError as error:
        raise ColumnError(f'{path}: not JSON ({error}); {mend}') from error
    if not isinstance(manifest, dict) or manifest.get('format') != FORMAT:
        found = manifest.get('format') if isinstance(manifest, dict) else None
        raise ColumnError(f'{path}: format {found!r}, expected {FORMAT}; {mend}')
    return manifest


def check_size(path: pathlib.Path, size: int) -> None:
    """Checks that a file is there and whole.

    Raises:
      ColumnError: when it is not.
    """
    if not path.is_file():
        raise ColumnError(
            f'{path}: not found, although the manifest beside it lists it; '
            f'delete {path.parent} and write the examples again'
        )
    found = path.stat().st_size
    if found != size:
        raise ColumnError(damaged(path, f'{found} bytes, the manifest says {size}'))


def damaged(path: pathlib.Path, why: str) -> str:
    """The message about a file that is not what was written."""
    return f'{path}: damaged ({why}); delete {path.parent} and write the examples again'


class CheckedArray:
    """A one-dimensional array in a raw file.

    Nothing is read before it is asked for. A block of the file is compared with its CRC-32 when the first
    element in it is asked for, and not again: the cost is that of one pass over what is read.
    """

    def __init__(
        self, path: pathlib.Path, dtype: np.dtype, length: int, checksums: UInt32[np.ndarray, 'blocks']
    ):
        """Checks that the file is there and has the size of `length` elements.

        Raises:
          ColumnError: when it has not.
        """
        check_size(path, length * dtype.itemsize)
        self._path, self._dtype, self._length, self._checksums = path, dtype, length, checksums
        self._checked = np.zeros(len(checksums), bool)
        self._all_checked = length == 0

    def covering(
        self, starts: Int[np.ndarray, 'ranges'], stops: Int[np.ndarray, 'ranges']
    ) -> Shaped[np.ndarray, 'length']:
        """The whole array, of which the ranges `starts[i]:stops[i]` are checked and may be read.

        Raises:
          ColumnError: when a block that a range reaches into is damaged.
        """
        if not self._all_checked:
            size = self._dtype.itemsize
            first, last = starts * size // BLOCK_BYTES, (stops * size - 1) // BLOCK_BYTES
            filled = stops > starts
            self._check(np.unique(np.concatenate([first[filled], last[filled]])))
            # Few ranges are longer than a block, and then what lies between its ends counts too.
            for low, high in zip(first[last > first + 1], last[last > first + 1]):
                self._check(np.arange(low + 1, high))
        return self._array

    def whole(self) -> Shaped[np.ndarray, 'length']:
        """The array, all of it checked.

        Raises:
          ColumnError: when a block is damaged.
        """
        if not self._all_checked:
            self._check(np.arange(len(self._checksums)))
            self._all_checked = True
        return self._array

    @functools.cached_property
    def _array(self) -> np.ndarray:
        if not self._length:
            return np.zeros(0, self._dtype)
        return np.memmap(self._path, self._dtype, mode='r', shape=(self._length,))

    def _check(self, blocks: np.ndarray) -> None:
        content = self._array.view(np.uint8)
        for block in blocks[~self._checked[blocks]]:
            start = int(block) * BLOCK_BYTES
            if zlib.crc32(content[start : start + BLOCK_BYTES]) != self._checksums[block]:
                raise ColumnError(damaged(self._path, f'checksum of the block at byte {start}'))
            self._checked[block] = True


class ArrayInMemory:
    """The interface of `CheckedArray` around an array that needs no checking."""

    def __init__(self, array: Shaped[np.ndarray, 'length']):
        self._array = array

    def covering(self, starts: np.ndarray, stops: np.ndarray) -> Shaped[np.ndarray, 'length']:
        """The array."""
        del starts, stops
        return self._array

    def whole(self) -> Shaped[np.ndarray, 'length']:
        """The array."""
        return self._array


# Feature to its values and offsets.
Shard = Mapping[str, Mapping[str, CheckedArray | ArrayInMemory]]


def bounds(
    arrays: Mapping[str, CheckedArray | ArrayInMemory], places: Int[np.ndarray, 'rows']
) -> tuple[Int[np.ndarray, 'rows'], Int[np.ndarray, 'rows']]:
    """Where the rows at these places of a shard start and stop among a feature's values."""
    offsets = arrays[OFFSETS].covering(places, places + 2)
    return offsets[places], offsets[places + 1]


def open_shard(directory: pathlib.Path, manifest: Mapping[str, Any], shard: int) -> Shard:
    """The arrays of shard number `shard`, none of them read yet.

    Raises:
      ColumnError: when a file is missing or has not the size that the manifest says.
    """
    num_shards = manifest['num_shards']
    lengths = {
        (name, part): (
            manifest['features'][name]['tokens'][shard]
            if part == VALUES
            else shard_rows(manifest['rows'], shard, num_shards) + 1
        )
        for name in sorted(manifest['features'])
        for part in DTYPES
    }
    counts = [blocks(length * DTYPES[part].itemsize) for (_, part), length in lengths.items()]
    path = directory / checksum_file(shard, num_shards)
    check_size(path, sum(counts) * CHECKSUM.itemsize)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != manifest['checksums'][shard]:
        raise ColumnError(damaged(path, 'not the sha256 of the manifest'))
    checksums = np.split(np.frombuffer(content, CHECKSUM), np.cumsum(counts)[:-1])
    opened: dict[str, dict[str, CheckedArray]] = {name: {} for name in manifest['features']}
    for ((name, part), length), table in zip(lengths.items(), checksums, strict=True):
        file = directory / data_file(name, part, shard, num_shards)
        opened[name][part] = CheckedArray(file, DTYPES[part], length, table)
    return opened
