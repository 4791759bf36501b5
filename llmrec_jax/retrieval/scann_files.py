"""A ScaNN index on disk: ScaNN's own files, the items of its rows, and what it is."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Int, Int64

from llmrec_jax.retrieval.index_files import checked_record, not_a_manifest, write_index
from llmrec_jax.retrieval.scann_settings import ReachedRecall, ScannLayout

ITEMS = 'items.npy'
FORMAT = 'llmrec_jax scann index 2'


@dataclasses.dataclass(frozen=True)
class ScannManifest:
    """What an index is.

    Attributes:
      n_items: rows of the index.
      dim: width of a vector.
      layout: what it is searched with.
      vectors_sha256: `ItemVectors.sha256` of what it was built from.
      recall: what it was tuned to and reached; None where nobody measured.
    """

    n_items: int
    dim: int
    layout: ScannLayout
    vectors_sha256: str
    recall: ReachedRecall | None = None


def write_scann_index(
    directory: pathlib.Path, searcher: Any, items: Int[np.ndarray, 'items'], manifest: ScannManifest
) -> None:
    """Writes an index whole; see `index_files.write_index`."""

    def write_files(folder: pathlib.Path) -> None:
        # With absolute paths, ScaNN's default, an index that is moved cannot be loaded.
        searcher.serialize(str(folder), relative_path=True)
        np.save(folder / ITEMS, items)

    write_index(directory, {'format': FORMAT, **dataclasses.asdict(manifest)}, write_files)


def read_scann_index(directory: pathlib.Path) -> tuple[Int64[np.ndarray, 'items'], ScannManifest]:
    """Checks every file before ScaNN sees it; see `index_files.checked_record`.

    On a damaged file ScaNN may end the process, and a stray `scann_docids.pkl` it would unpickle.
    """
    record = checked_record(directory, FORMAT)
    try:
        recall = record['recall']
        manifest = ScannManifest(
            record['n_items'],
            record['dim'],
            ScannLayout(**record['layout']),
            record['vectors_sha256'],
            None if recall is None else ReachedRecall(**recall),
        )
    except (KeyError, TypeError) as error:
        raise not_a_manifest(directory, error) from error
    return np.load(directory / ITEMS), manifest
