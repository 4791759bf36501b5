"""A ScaNN index on disk: ScaNN's own files, the items of its rows, and a manifest that vouches for all."""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Int, Int64

from llmrec_jax import files
from llmrec_jax.retrieval.scann_settings import ReachedRecall, ScannLayout

MANIFEST = 'manifest.json'
ITEMS = 'items.npy'
FORMAT = 'llmrec_jax scann index 2'


@dataclasses.dataclass(frozen=True)
class ScannManifest:
    """What an index is.

    Attributes:
      n_items: rows of the index.
      dim: width of a vector.
      layout: what it was built with.
      vectors_sha256: `ItemVectors.sha256` of what it was built from.
      recall: what it was tuned to and reached; None where nobody measured.
    """

    n_items: int
    dim: int
    layout: ScannLayout
    vectors_sha256: str
    recall: ReachedRecall | None = None


def write_index(
    directory: pathlib.Path, searcher: Any, items: Int[np.ndarray, 'items'], manifest: ScannManifest
) -> None:
    """Writes beside `directory` and puts the whole in its place.

    Raises:
      FileExistsError: `directory` holds something else than an index.
    """
    if directory.exists() and not (directory / MANIFEST).exists() and any(directory.iterdir()):
        raise FileExistsError(
            f'{directory} holds other files than a ScaNN index; give an empty or a new folder'
        )
    with files.folder_written_whole(directory) as beside:
        # With absolute paths, ScaNN's default, an index that is moved cannot be loaded.
        searcher.serialize(str(beside), relative_path=True)
        np.save(beside / ITEMS, items)
        record = {
            'format': FORMAT,
            **dataclasses.asdict(manifest),
            'files': {path.name: _sha256(path) for path in sorted(beside.iterdir())},
        }
        files.write_json(beside / MANIFEST, record)


def read_index(directory: pathlib.Path) -> tuple[Int64[np.ndarray, 'items'], ScannManifest]:
    """Checks every file before ScaNN sees it: on a damaged one ScaNN may end the process.

    Raises:
      FileNotFoundError: `directory` holds no index.
      ValueError: a file is missing, changed, or none of the index's.
    """
    path = directory / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f'{directory} holds no ScaNN index: there is no {MANIFEST}')
    try:
        record = json.loads(path.read_text())
        if record['format'] != FORMAT:
            raise ValueError(f'format {record["format"]!r}, expected {FORMAT!r}')
        expected = record['files']
        manifest = ScannManifest(
            record['n_items'],
            record['dim'],
            ScannLayout(**record['layout']),
            record['vectors_sha256'],
            None if record['recall'] is None else ReachedRecall(**record['recall']),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path} is no manifest of a ScaNN index ({error}); build the index again'
        ) from error
    present = {entry.name for entry in directory.iterdir()} - {MANIFEST}
    if present != expected.keys():
        # ScaNN would unpickle a stray `scann_docids.pkl`.
        raise ValueError(
            f'{directory}: the index lacks {sorted(expected.keys() - present)} and holds '
            f'{sorted(present - expected.keys())} which is none of its files; build it again'
        )
    for name, sha256 in expected.items():
        if _sha256(directory / name) != sha256:
            raise ValueError(
                f'{directory / name} is damaged: its sha256 is not that of {MANIFEST}; build it again'
            )
    return np.load(directory / ITEMS), manifest


def _sha256(path: pathlib.Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
