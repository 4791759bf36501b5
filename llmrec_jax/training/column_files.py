"""The files of a column store: their names, their manifest, and the checksums that vouch for them."""

import json
import os
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt32

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
        manifest = json.loads(path.read_text())
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
