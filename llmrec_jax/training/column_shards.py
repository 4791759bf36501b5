"""One shard of a column store: its files, opened with their checksums."""

import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.training.checked_array import ArrayInMemory, CheckedArray
from llmrec_jax.training.column_files import (
    CHECKSUM,
    DTYPES,
    OFFSETS,
    VALUES,
    ColumnError,
    blocks,
    check_size,
    checksum_file,
    damaged,
    data_file,
    shard_rows,
)

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
