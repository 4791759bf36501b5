"""Writes a column store block by block, in memory that does not grow with the number of examples."""

import hashlib
import json
import os
import pathlib
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from llmrec_jax import files
from llmrec_jax.training.column_files import (
    BLOCK_BYTES,
    DTYPES,
    FORMAT,
    MANIFEST,
    OFFSETS,
    VALUES,
    ColumnError,
    block_checksums,
    checksum_file,
    data_file,
    local_folder,
)


class Block(NamedTuple):
    """Consecutive rows of one feature.

    Attributes:
      values: the tokens of all rows, one row after the other.
      lengths: how many tokens each row has.
    """

    values: Int[np.ndarray, 'tokens']
    lengths: Int[np.ndarray, 'rows']


class ColumnWriter:
    """A column store in the making, beside the place it is for; `finish` puts it there.

    A context manager: what was not finished is removed on leaving.
    """

    def __init__(self, directory: str | os.PathLike, features: Sequence[str], num_shards: int = 1):
        """Begins the files.

        Args:
          directory: becomes the store; what is there stays until `finish`.
          features: names of the features.
          num_shards: files that each feature is dealt to; row `i` goes to shard `i % num_shards`.

        Raises:
          ColumnError: when there is no feature, no shard, a name that cannot be a file's, or an address
            that is no folder's.
        """
        if not features or num_shards < 1:
            raise ColumnError(
                f'{directory}: a store needs features and shards, got features={list(features)}, '
                f'num_shards={num_shards}'
            )
        unfit = [name for name in features if os.path.basename(name) != name]
        if unfit:
            raise ColumnError(f'{directory}: feature {unfit[0]!r} cannot name a file')
        self._directory = local_folder(directory)
        self._partial = self._directory.with_name(f'{self._directory.name}.partial')
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._features, self._shards, self.rows = tuple(features), num_shards, 0
        self._columns = {name: _Column(self._partial, name, num_shards) for name in features}

    def __enter__(self) -> 'ColumnWriter':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)

    def append(self, blocks: Mapping[str, Block]) -> None:
        """Adds rows.

        Args:
          blocks: every feature's part of the same rows; values of any integer type that fit int32.

        Raises:
          ColumnError: when features are missing or differ in rows, or a value is no 32-bit integer.
        """
        counts = {name: len(block.lengths) for name, block in blocks.items()}
        if counts.keys() != set(self._features) or len(set(counts.values())) != 1:
            raise ColumnError(
                f'{self._directory}: every feature of {", ".join(self._features)} needs the same number of '
                f'rows; got rows {counts}'
            )
        for name, block in blocks.items():
            self._columns[name].append(_as_int32(name, block), self.rows)
        self.rows += next(iter(counts.values()))

    def keep(self, name: str, content: bytes) -> None:
        """Puts a file beside the columns."""
        (self._partial / name).write_bytes(content)

    def finish(self, provenance: Mapping[str, Any]) -> pathlib.Path:
        """Writes checksums and manifest and puts the store in its place.

        Args:
          provenance: JSON-able facts about what the examples were made from.

        Raises:
          ColumnError: when there is no row.
        """
        if not self.rows:
            raise ColumnError(f'{self._directory}: there are no examples to write')
        manifest = {
            'format': FORMAT,
            'rows': self.rows,
            'num_shards': self._shards,
            'block_bytes': BLOCK_BYTES,
            'features': {name: self._columns[name].summary() for name in sorted(self._features)},
            'checksums': [self._write_checksums(shard) for shard in range(self._shards)],
            'provenance': dict(provenance),
        }
        (self._partial / MANIFEST).write_text(
            json.dumps(manifest, indent=2, sort_keys=True) + '\n', encoding='utf-8'
        )
        files.replace_folder(self._partial, self._directory)
        return self._directory

    def _write_checksums(self, shard: int) -> str:
        """Writes the checksums of a shard's files, in the order of the names, and returns their sha256."""
        found = [
            block_checksums(self._partial / data_file(name, part, shard, self._shards))
            for name in sorted(self._features)
            for part in DTYPES
        ]
        content = np.concatenate(found).tobytes()
        (self._partial / checksum_file(shard, self._shards)).write_bytes(content)
        return hashlib.sha256(content).hexdigest()


class _Column:
    """One feature's files, and what the manifest will say of it."""

    def __init__(self, folder: pathlib.Path, name: str, num_shards: int):
        self._paths = {
            part: [folder / data_file(name, part, shard, num_shards) for shard in range(num_shards)]
            for part in DTYPES
        }
        for shard in range(num_shards):
            self._write(VALUES, shard, np.zeros(0))
            self._write(OFFSETS, shard, np.zeros(1))
        self._tokens = [0] * num_shards
        self._counts: Counter[int] = Counter()
        self._longest = (-1, 0)
        self._hashes = {part: hashlib.sha256() for part in DTYPES}

    def append(self, block: Block, first_row: int) -> None:
        self._hashes[VALUES].update(block.values.astype(DTYPES[VALUES]).tobytes())
        self._hashes[OFFSETS].update(block.lengths.astype(DTYPES[OFFSETS]).tobytes())
        if len(block.lengths):
            longest = int(block.lengths.argmax())
            self._longest = max(self._longest, (int(block.lengths[longest]), -first_row - longest))
            self._counts.update(dict(enumerate(np.bincount(block.lengths).tolist())))
        shard_of_row = (first_row + np.arange(len(block.lengths))) % len(self._tokens)
        shard_of_value = np.repeat(shard_of_row, block.lengths)
        for shard, written in enumerate(self._tokens):
            ends = written + np.cumsum(block.lengths[shard_of_row == shard])
            self._write(VALUES, shard, block.values[shard_of_value == shard])
            self._write(OFFSETS, shard, ends)
            self._tokens[shard] = int(ends[-1]) if len(ends) else written

    def _write(self, part: str, shard: int, array: np.ndarray) -> None:
        # Opened for each block, because a store may have more files than a process may hold open.
        with self._paths[part][shard].open('ab') as file:
            file.write(array.astype(DTYPES[part]).tobytes())

    def summary(self) -> dict[str, Any]:
        longest, row = self._longest
        return {
            'tokens': self._tokens,
            'longest': longest,
            'longest_row': -row,
            'lengths': {str(length): count for length, count in sorted(self._counts.items()) if count},
            'sha256': {part: digest.hexdigest() for part, digest in self._hashes.items()},
        }


def _as_int32(name: str, block: Block) -> Block:
    values, lengths = np.asarray(block.values), np.asarray(block.lengths)
    if len(values) and not np.issubdtype(values.dtype, np.integer):
        raise ColumnError(f'feature {name!r}: values must be integers, got {values.dtype}')
    bounds = np.iinfo(np.int32)
    if len(values) and (values.min() < bounds.min or values.max() > bounds.max):
        raise ColumnError(f'feature {name!r}: a value does not fit 32 bits')
    return Block(values.astype(np.int32), lengths)
