"""Training examples as ragged integer columns on disk, read without TensorFlow.

A store is a folder. Row `i` lies in shard `i % num_shards`, at place `i // num_shards`; there, each feature
has a raw file of values (int32) and one of offsets (int64), both little-endian. `manifest.json` counts
everything, and says what the examples were made from. Every 64 KiB have a CRC-32: a small store is checked
whole when it is opened; of a large one, a block is checked when it is first read, so that no host reads
what it does not need. The files are memory-mapped: they lie on a local or a mounted disk.

A `ColumnStore` is a random-access source as Grain means it, `grain.MapDataset.source(store)`, of dicts of
unpadded arrays. Training reads it by `batches.Batches`, many rows at once.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.training.column_files import (
    DTYPES,
    OFFSETS,
    VALUES,
    ArrayInMemory,
    ColumnError,
    Shard,
    bounds,
    local_folder,
    open_shard,
    read_manifest,
)
from llmrec_jax.training.column_writer import Block, ColumnWriter

__all__ = ['ColumnError', 'ColumnStore', 'write_columns']

# A store of up to this size is checked when it is opened: a fraction of a second, and no surprise later.
CHECKED_AT_OPEN_BYTES = 1 << 30


def write_columns(
    directory: str | os.PathLike,
    features: Mapping[str, Any],
    provenance: Mapping[str, Any],
    num_shards: int = 1,
) -> 'ColumnStore':
    """Writes examples that fit in memory, replacing what is there only once everything is written.

    Args:
      directory: becomes the store.
      features: feature name to its rows: anything with the arrays `values` and `offsets` (row `i` is
        `values[offsets[i]:offsets[i + 1]]`), or an iterable of one-dimensional integer sequences. Every
        feature has the same number of rows. Values are kept as int32.
      provenance: JSON-able facts about what the examples were made from.
      num_shards: files that each feature is dealt to.

    Returns:
      The store, opened.

    Raises:
      ColumnError: when there is no row, the features differ in rows, or a value does not fit int32.
    """
    with ColumnWriter(directory, list(features), num_shards) as writer:
        writer.append({name: _block(rows) for name, rows in features.items()})
        writer.finish(provenance)
    return ColumnStore.open(directory)


@dataclasses.dataclass(frozen=True, eq=False)
class ColumnStore:
    """Examples in ragged columns.

    Attributes:
      directory: where it lies.
      manifest: what `manifest.json` says, provenance included.
      shards: the arrays of each shard.
    """

    directory: pathlib.Path
    manifest: Mapping[str, Any]
    shards: tuple[Shard, ...]

    @classmethod
    def open(cls, directory: str | os.PathLike) -> 'ColumnStore':
        """Opens what `write_columns` or a `ColumnWriter` wrote, after checking that every file is whole.

        Raises:
          ColumnError: when a file is missing or is not what was written; in a store of more than
            `CHECKED_AT_OPEN_BYTES`, a file that has the right size is checked only where it is read.
        """
        directory = local_folder(directory)
        manifest = read_manifest(directory)
        shards = tuple(open_shard(directory, manifest, shard) for shard in range(manifest['num_shards']))
        store = cls(directory, manifest, shards)
        if store.size_bytes <= CHECKED_AT_OPEN_BYTES:
            store.check()
        return store

    @classmethod
    def in_memory(cls, features: Mapping[str, Any]) -> 'ColumnStore':
        """A store that is on no disk, of features as `write_columns` takes them."""
        ragged = {name: _block(rows) for name, rows in features.items()}
        shard = {
            name: {
                VALUES: ArrayInMemory(block.values.astype(np.int32)),
                OFFSETS: ArrayInMemory(_offsets(block.lengths)),
            }
            for name, block in ragged.items()
        }
        summaries = {
            name: {
                'longest': int(block.lengths.max()),
                'longest_row': int(block.lengths.argmax()),
                'lengths': dict(enumerate(np.bincount(block.lengths).tolist())),
            }
            for name, block in ragged.items()
        }
        rows = len(next(iter(ragged.values())).lengths)
        return cls(pathlib.Path('memory'), {'rows': rows, 'num_shards': 1, 'features': summaries}, (shard,))

    def __len__(self) -> int:
        return self.manifest['rows']

    def __getitem__(self, row: int) -> dict[str, Int[np.ndarray, '_']]:
        """One example, feature name to its tokens, unpadded."""
        if not 0 <= row < len(self):
            raise IndexError(f'{self.directory}: no row {row} among {len(self)}')
        place = np.array([row // len(self.shards)])
        example = {}
        for feature, arrays in self.shards[row % len(self.shards)].items():
            starts, stops = bounds(arrays, place)
            example[feature] = np.array(arrays[VALUES].covering(starts, stops)[starts[0] : stops[0]])
        return example

    def __reduce__(self) -> tuple[Any, tuple[pathlib.Path]]:
        """Grain's worker processes open the store anew; pickled, a memory map would become a copy."""
        return ColumnStore.open, (self.directory,)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(self.manifest['features'])

    @property
    def size_bytes(self) -> int:
        """What the values and offsets take on disk."""
        rows = len(self) + len(self.shards)
        return sum(
            sum(summary['tokens']) * DTYPES[VALUES].itemsize + rows * DTYPES[OFFSETS].itemsize
            for summary in self.manifest['features'].values()
        )

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 over the names, values and lengths of all features, however many shards hold them."""
        summaries = {name: summary['sha256'] for name, summary in self.manifest['features'].items()}
        return hashlib.sha256(json.dumps(summaries, sort_keys=True).encode()).hexdigest()

    def check(self) -> None:
        """Compares everything with its checksums.

        Raises:
          ColumnError: when something is damaged; the message names the file.
        """
        for shard in self.shards:
            for arrays in shard.values():
                for array in arrays.values():
                    array.whole()

    def longest(self, feature: str) -> tuple[int, int]:
        """Number of tokens in the longest row of `feature`, and the first row that has so many.

        Raises:
          ColumnError: when there is no such feature.
        """
        self._require(feature)
        summary = self.manifest['features'][feature]
        return summary['longest'], summary['longest_row']

    def length_counts(self, feature: str) -> dict[int, int]:
        """How many rows of `feature` have how many tokens, shortest first; reads the manifest alone.

        Raises:
          ColumnError: when there is no such feature.
        """
        self._require(feature)
        counts = self.manifest['features'][feature]['lengths']
        return {
            length: count for length, count in sorted((int(one), n) for one, n in counts.items()) if count
        }

    def lengths(
        self, feature: str, rows: Int[np.ndarray, 'chosen'] | None = None
    ) -> Int[np.ndarray, 'chosen_or_all']:
        """Number of tokens in each row of `feature`, or in each of the chosen rows.

        Raises:
          ColumnError: when there is no such feature.
        """
        self._require(feature)
        rows = np.arange(len(self)) if rows is None else rows
        lengths = np.empty(len(rows), np.int64)
        for shard, here, places in self._by_shard(rows):
            starts, stops = bounds(shard[feature], places)
            lengths[here] = stops - starts
        return lengths

    def scalars(self, feature: str) -> Int[np.ndarray, 'rows']:
        """The values of a feature that has one in every row, such as 'user'.

        Raises:
          ColumnError: when there is no such feature, or a row has another number of tokens.
        """
        if len(odd := np.flatnonzero(self.lengths(feature) != 1)):
            raise ColumnError(f'{self.directory}: row {odd[0]} of feature {feature!r} is no single number')
        return self.batch(np.arange(len(self)), {feature: 1})[feature][:, 0]

    def batch(
        self, rows: Int[np.ndarray, 'chosen'], pad_to: Mapping[str, int]
    ) -> dict[str, Int[np.ndarray, 'chosen _']]:
        """The chosen rows of the features in `pad_to`, padded on the right with 0 to the lengths given there.

        Raises:
          ColumnError: when there is no such feature or a row is longer than its feature's length.
        """
        return {feature: self._padded(feature, rows, length) for feature, length in pad_to.items()}

    def _padded(self, feature: str, rows: np.ndarray, length: int) -> np.ndarray:
        self._require(feature)
        padded = np.zeros((len(rows), length), np.int32)
        columns = np.arange(length)[None, :]
        for shard, here, places in self._by_shard(rows):
            starts, stops = bounds(shard[feature], places)
            lengths = stops - starts
            if lengths.max() > length:
                longest = int(lengths.argmax())
                raise ColumnError(
                    f'{self.directory}: row {int(rows[here][longest])} of feature {feature!r} has '
                    f'{int(lengths[longest])} tokens, more than the {length} asked for; '
                    f'raise the feature length or trim the examples'
                )
            values = shard[feature][VALUES].covering(starts, stops)
            inside = columns < lengths[:, None]
            gathered = np.zeros(inside.shape, np.int32)
            gathered[inside] = values[(starts[:, None] + columns)[inside]]
            padded[here] = gathered
        return padded

    def _by_shard(self, rows: np.ndarray) -> Iterator[tuple[Shard, np.ndarray, np.ndarray]]:
        """Each shard that holds some of the rows, which of them it holds, and their places in it."""
        shards, places = rows % len(self.shards), rows // len(self.shards)
        for shard in np.unique(shards):
            here = np.flatnonzero(shards == shard)
            yield self.shards[shard], here, places[here]

    def _require(self, feature: str) -> None:
        if feature not in self.manifest['features']:
            raise ColumnError(
                f'{self.directory}: no feature {feature!r}; the features there are {", ".join(self.features)}'
            )


def _block(rows: Any) -> Block:
    if hasattr(rows, 'values') and hasattr(rows, 'offsets'):
        offsets = np.asarray(rows.offsets, np.int64)
        return Block(np.asarray(rows.values)[offsets[0] : offsets[-1]], np.diff(offsets))
    return _concatenated(rows)


def _concatenated(rows: Iterable[Any]) -> Block:
    parts = [np.asarray(row) for row in rows]
    filled = [part for part in parts if len(part)]
    values = np.concatenate(filled) if filled else np.zeros(0, np.int32)
    return Block(values, np.array([len(part) for part in parts], np.int64))


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
