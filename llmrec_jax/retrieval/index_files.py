"""An index on disk: its own files, and a manifest that vouches for each."""

import hashlib
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from llmrec_jax import files

MANIFEST = 'manifest.json'


def write_index(
    directory: pathlib.Path, record: Mapping[str, Any], write_files: Callable[[pathlib.Path], None]
) -> None:
    """Writes beside `directory` and puts the whole in its place.

    Args:
      directory: where it goes; an index that is there is replaced.
      record: what the manifest is to say, 'format' among it.
      write_files: writes the index's own files into an empty folder.

    Raises:
      FileExistsError: `directory` holds something else than an index.
    """
    if directory.exists() and not (directory / MANIFEST).exists() and any(directory.iterdir()):
        raise FileExistsError(f'{directory} holds other files than an index; give an empty or a new folder')
    with files.folder_written_whole(directory) as beside:
        write_files(beside)
        hashes = {path.name: _sha256(path) for path in sorted(beside.iterdir())}
        files.write_json(beside / MANIFEST, {**record, 'files': hashes})


def read_record(directory: pathlib.Path) -> dict[str, Any]:
    """What the manifest says.

    Raises:
      FileNotFoundError: `directory` holds no index.
      ValueError: the manifest is damaged.
    """
    path = directory / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f'{directory} holds no index: there is no {MANIFEST}')
    try:
        record = json.loads(files.read_text(path))
    except ValueError as error:
        raise not_a_manifest(directory, error) from error
    if not isinstance(record, dict) or not isinstance(record.get('files'), dict):
        raise not_a_manifest(directory, 'it names no files')
    return record


def checked_record(directory: pathlib.Path, expected_format: str) -> dict[str, Any]:
    """What the manifest says, once every file is found to be the one that was written.

    Raises:
      FileNotFoundError: `directory` holds no index.
      ValueError: it is of another format, or a file is missing, changed, or none of the index's.
    """
    record = read_record(directory)
    if record.get('format') != expected_format:
        raise not_a_manifest(directory, f'format {record.get("format")!r}, expected {expected_format!r}')
    expected = record['files']
    present = {entry.name for entry in directory.iterdir()} - {MANIFEST}
    if present != expected.keys():
        raise ValueError(
            f'{directory}: the index lacks {sorted(expected.keys() - present)} and holds '
            f'{sorted(present - expected.keys())} which is none of its files; build it again'
        )
    for name, sha256 in expected.items():
        if _sha256(directory / name) != sha256:
            raise ValueError(
                f'{directory / name} is damaged: its sha256 is not that of {MANIFEST}; build it again'
            )
    return record


def not_a_manifest(directory: pathlib.Path, reason: object) -> ValueError:
    """The error of a manifest that says nothing of use."""
    return ValueError(
        f'{directory / MANIFEST} is no manifest of this index ({reason}); build the index again'
    )


def other_vectors(directory: pathlib.Path) -> ValueError:
    """The error of an index that does not belong to the vectors at hand."""
    return ValueError(f'{directory}: the index was built over other vectors than these; build it again')


def _sha256(path: pathlib.Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
