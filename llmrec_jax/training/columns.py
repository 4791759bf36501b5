"""Training examples as ragged integer columns on disk, read without TensorFlow."""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

FORMAT = 1
MANIFEST = 'manifest.json'
PARTS = ('values', 'offsets')


class ColumnError(ValueError):
    """A column store that is missing, damaged or lacks a feature; the message names the file and the cure."""


def write_columns(
    directory: str | os.PathLike, features: Mapping[str, Any], provenance: Mapping[str, Any]
) -> 'ColumnStore':
    """Writes examples to `directory`, replacing what is there only once everything is written.

    Args:
      directory: becomes a folder with `<feature>.values.npy` and `<feature>.offsets.npy` for every feature,
        and `manifest.json` with their sha256.
      features: feature name to its rows: anything with the arrays `values` and `offsets` (row `i` is
        `values[offsets[i]:offsets[i + 1]]`), or an iterable of one-dimensional integer sequences. Every
        feature has the same number of rows. Values are kept as int32.
      provenance: JSON-able facts about what the examples were made from.

    Returns:
      The store, opened.

    Raises:
      ColumnError: when there is no row, the features differ in rows, or a value does not fit int32.
    """
    ragged = {name: _ragged(name, rows) for name, rows in features.items()}
    counts = {name: len(offsets) - 1 for name, (_, offsets) in ragged.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ColumnError(
            f'{directory}: every feature needs the same number of rows, at least one; got rows {counts}'
        )
    directory = pathlib.Path(directory)
    partial = directory.with_name(f'{directory.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    sha256 = {}
    for name, arrays in ragged.items():
        for part, array in zip(PARTS, arrays):
            file = _file(name, part)
            np.save(partial / file, array)
            sha256[file] = _sha256(partial / file)
    manifest = {
        'format': FORMAT,
        'rows': next(iter(counts.values())),
        'features': sorted(ragged),
        'sha256': sha256,
        'provenance': dict(provenance),
    }
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + '\n')
    _replace_directory(partial, directory)
    return ColumnStore.open(directory)


@dataclasses.dataclass(frozen=True)
class ColumnStore:
    """Examples in ragged columns, memory-mapped.

    Attributes:
      directory: where it lies.
      manifest: what `manifest.json` says, provenance included.
      values: feature name to all its tokens, one after the other.
      offsets: feature name to where each row starts; one more than there are rows.
    """

    directory: pathlib.Path
    manifest: Mapping[str, Any]
    values: Mapping[str, Int[np.ndarray, '_']]
    offsets: Mapping[str, Int[np.ndarray, '_']]

    @classmethod
    def open(cls, directory: str | os.PathLike) -> 'ColumnStore':
        """Opens what `write_columns` wrote, after checking every file against its sha256.

        Raises:
          ColumnError: when a file is missing or is not what was written.
        """
        directory = pathlib.Path(directory)
        manifest = _read_manifest(directory)
        arrays: dict[str, dict[str, np.ndarray]] = {part: {} for part in PARTS}
        for name in manifest['features']:
            for part in PARTS:
                path = directory / _file(name, part)
                _check(path, manifest['sha256'][path.name])
                arrays[part][name] = np.load(path, mmap_mode='r')
        return cls(directory, manifest, arrays['values'], arrays['offsets'])

    def __len__(self) -> int:
        return self.manifest['rows']

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(self.manifest['features'])

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 over the names, values and lengths of all features."""
        return hashlib.sha256(json.dumps(self.manifest['sha256'], sort_keys=True).encode()).hexdigest()

    def lengths(self, feature: str) -> Int[np.ndarray, 'rows']:
        """Number of tokens in each row of `feature`.

        Raises:
          ColumnError: when there is no such feature.
        """
        self._require(feature)
        return np.diff(self.offsets[feature])

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
        values, offsets = self.values[feature], self.offsets[feature]
        starts = offsets[rows]
        lengths = offsets[rows + 1] - starts
        if len(lengths) and lengths.max() > length:
            longest = int(lengths.argmax())
            raise ColumnError(
                f'{self.directory}: row {int(rows[longest])} of feature {feature!r} has '
                f'{int(lengths[longest])} tokens, more than the {length} asked for; '
                f'raise the feature length or trim the examples'
            )
        columns = np.arange(length)[None, :]
        inside = columns < lengths[:, None]
        padded = np.zeros((len(rows), length), np.int32)
        padded[inside] = values[(starts[:, None] + columns)[inside]]
        return padded

    def _require(self, feature: str) -> None:
        if feature not in self.values:
            raise ColumnError(
                f'{self.directory}: no feature {feature!r}; the features there are {", ".join(self.features)}'
            )


def _ragged(name: str, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    if hasattr(rows, 'values') and hasattr(rows, 'offsets'):
        values, offsets = np.asarray(rows.values), np.asarray(rows.offsets, np.int64)
    else:
        values, offsets = _concatenated(rows)
    if len(values) and not np.issubdtype(values.dtype, np.integer):
        raise ColumnError(f'feature {name!r}: values must be integers, got {values.dtype}')
    bounds = np.iinfo(np.int32)
    if len(values) and (values.min() < bounds.min or values.max() > bounds.max):
        raise ColumnError(f'feature {name!r}: a value does not fit 32 bits')
    return values.astype(np.int32), offsets


def _concatenated(rows: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    parts = [np.asarray(row) for row in rows]
    offsets = np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)
    filled = [part for part in parts if len(part)]
    return (np.concatenate(filled) if filled else np.zeros(0, np.int32)), offsets


def _file(feature: str, part: str) -> str:
    return f'{feature}.{part}.npy'


def _sha256(path: pathlib.Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _read_manifest(directory: pathlib.Path) -> dict[str, Any]:
    path = directory / MANIFEST
    mend = 'write the examples again'
    if not path.is_file():
        raise ColumnError(f'{path}: not found, so {directory} holds no examples; {mend}')
    try:
        manifest = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ColumnError(f'{path}: not JSON ({error}); {mend}') from error
    if manifest.get('format') != FORMAT:
        raise ColumnError(f'{path}: format {manifest.get("format")!r}, expected {FORMAT}; {mend}')
    return manifest


def _check(path: pathlib.Path, sha256: str) -> None:
    if not path.is_file():
        raise ColumnError(
            f'{path}: not found, although the manifest beside it lists it; write the examples again'
        )
    found = _sha256(path)
    if found != sha256:
        raise ColumnError(
            f'{path}: damaged (sha256 {found[:12]}, the manifest says {sha256[:12]}); '
            f'write the examples again'
        )


def _replace_directory(partial: pathlib.Path, directory: pathlib.Path) -> None:
    previous = directory.with_name(f'{directory.name}.previous')
    shutil.rmtree(previous, ignore_errors=True)
    if directory.exists():
        os.replace(directory, previous)
    os.replace(partial, directory)
    shutil.rmtree(previous, ignore_errors=True)
