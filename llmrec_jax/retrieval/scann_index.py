"""Approximate search over item vectors with ScaNN, behind checks for what ScaNN answers in silence.

An index is laid out by the size of its catalogue. On disk it is ScaNN's own files, the items of its rows
and a manifest.
"""

import dataclasses
import math
import os
import pathlib
import sys
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int64

from llmrec_jax.retrieval.index_files import checked_record, not_a_manifest, other_vectors, write_index
from llmrec_jax.retrieval.item_vectors import ItemVectors, check_search, vectors_are
from llmrec_jax.retrieval.retriever import ABSENT, SearchResult


def scann_ops_pybind() -> ModuleType:
    """ScaNN's numpy interface.

    `import scann` also tries to import TensorFlow, for operations that nothing here uses: that costs seconds
    and hundreds of megabytes, and dies on a TensorFlow other than the one ScaNN was linked against. An entry
    of None in `sys.modules` makes that import raise the ModuleNotFoundError that ScaNN catches.
    """
    loaded = sys.modules.get('scann.scann_ops.py.scann_ops_pybind')
    if loaded is not None:
        return loaded
    had_tensorflow = 'tensorflow' in sys.modules
    tensorflow = sys.modules.get('tensorflow')
    sys.modules['tensorflow'] = None
    try:
        from scann.scann_ops.py import scann_ops_pybind as ops
    finally:
        if had_tensorflow:
            sys.modules['tensorflow'] = tensorflow
        else:
            del sys.modules['tensorflow']
    return ops


# On TF-IDF vectors of Amazon Beauty, recall@10 is .94 at a share of .05, .97 at .1 and .99 at .2.
DEFAULT_SHARE_SEARCHED = 0.1


@dataclasses.dataclass(frozen=True)
class ScannLayout:
    """The settings of one index, with nothing left open.

    Attributes:
      leaves: partitions of the items; 0 for a brute-force index, which scores every item.
      leaves_to_search: partitions that a query looks into; 0 for brute force.
      anisotropic_threshold: weight of the quantization error along the vector over that across it.
      reorder: candidates whose scores are computed again from the unquantized vectors.
    """

    leaves: int
    leaves_to_search: int
    anisotropic_threshold: float
    reorder: int

    @property
    def brute_force(self) -> bool:
        """Whether every item is scored."""
        return self.leaves == 0


@dataclasses.dataclass(frozen=True)
class ReachedRecall:
    """What an index was tuned to, and what it reached.

    Attributes:
      k: neighbours that were asked for.
      wished: the recall@k against exact search that was asked for.
      reached: the recall@k on queries that had no part in choosing the settings.
      queries: number of those queries.
    """

    k: int
    wished: float
    reached: float
    queries: int


@dataclasses.dataclass(frozen=True)
class ScannSettings:
    """A tree of partitions, asymmetric hashing within, exact scores for the best (Guo et al. 2020, ScaNN).

    Recall depends on the data as much as on these: `scann_tuning.tuned_index` finds them for a wished recall.

    Attributes:
      leaves: partitions of the items; None for the square root of the number of items.
      leaves_to_search: partitions a query looks into; None for `DEFAULT_SHARE_SEARCHED` of them.
      anisotropic_threshold: see `ScannLayout`.
      reorder: see `ScannLayout`; a search for more items than this reorders as many as it returns.
      brute_force_below: a catalogue of fewer items is scored whole, which is exact and no slower there.
    """

    leaves: int | None = None
    leaves_to_search: int | None = None
    anisotropic_threshold: float = 0.2
    reorder: int = 200
    brute_force_below: int = 50_000

    def layout(self, n_items: int) -> ScannLayout:
        """The layout for a catalogue of `n_items`.

        Raises:
          ValueError: there would be more leaves than items, more leaves searched than there are, or a setting
            is not positive; the message names the settings.
        """
        for field in ('leaves', 'leaves_to_search', 'reorder'):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ValueError(f'ScannSettings.{field}={value} must be at least 1')
        if not 0 < self.anisotropic_threshold < 1:
            raise ValueError(
                f'ScannSettings.anisotropic_threshold={self.anisotropic_threshold} must lie between 0 and 1'
            )
        if n_items < self.brute_force_below:
            return ScannLayout(0, 0, self.anisotropic_threshold, self.reorder)
        leaves = self.leaves or round(math.sqrt(n_items))
        searched = self.leaves_to_search or math.ceil(leaves * DEFAULT_SHARE_SEARCHED)
        if leaves > n_items:
            raise ValueError(f'ScannSettings.leaves={leaves} exceeds the {n_items} items of the index')
        if searched > leaves:
            raise ValueError(f'ScannSettings.leaves_to_search={searched} exceeds the {leaves} leaves')
        return ScannLayout(leaves, searched, self.anisotropic_threshold, self.reorder)


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


# Rows that the partitions and the hash are fitted on; more cost time and change recall little.
TRAINING_ROWS = 100_000
DEFAULT_SETTINGS = ScannSettings()


class ScannIndex:
    """A `VectorIndex` over ScaNN; items of equal score come in no stated order.

    A query that looks into leaves with fewer than `k` items gets absent slots. Two builds over the same
    vectors need not find the same items, as ScaNN's training is not reproducible to the bit: save the index
    where that matters.
    """

    def __init__(self, searcher: Any, items: Int[np.ndarray, 'items'], manifest: ScannManifest):
        """Wraps a ScaNN searcher; use `build` or `load`."""
        self._searcher = searcher
        self._items = items
        self._manifest = manifest

    @classmethod
    def build(
        cls,
        vectors: Float[np.ndarray, 'items dim'],
        *,
        items: Int[np.ndarray, 'items'] | None = None,
        settings: ScannSettings = DEFAULT_SETTINGS,
    ) -> 'ScannIndex':
        """Trains and fills an index.

        Args:
          vectors: one row an item; unit rows make the scores cosines.
          items: the item index of each row, where the rows are a part of the catalogue; None for 0, 1, 2, ...
          settings: the layout by catalogue size.

        Raises:
          ValueError: see `ItemVectors.checked` and `ScannSettings.layout`.
        """
        catalogue = ItemVectors.checked(vectors, items)
        layout = settings.layout(len(catalogue))
        builder = scann_ops_pybind().builder(catalogue.vectors, 1, 'dot_product')
        if layout.brute_force:
            builder = builder.score_brute_force()
        else:
            builder = (
                builder.tree(
                    layout.leaves,
                    layout.leaves_to_search,
                    training_sample_size=min(len(catalogue), TRAINING_ROWS),
                )
                .score_ah(2, anisotropic_quantization_threshold=layout.anisotropic_threshold)
                .reorder(layout.reorder)
            )
        manifest = ScannManifest(len(catalogue), catalogue.dim, layout, catalogue.sha256())
        return cls(builder.build(), catalogue.items, manifest)

    def __len__(self) -> int:
        return self._manifest.n_items

    @property
    def layout(self) -> ScannLayout:
        """The settings the index is searched with."""
        return self._manifest.layout

    @property
    def recall(self) -> ReachedRecall | None:
        """What the index was tuned to and reached; None where nobody measured."""
        return self._manifest.recall

    def searched_with(self, leaves_to_search: int, reorder: int) -> 'ScannIndex':
        """The same index, looked through more or less thoroughly; nothing is built again.

        Raises:
          ValueError: it is a brute-force index, or a number is outside what the index has.
        """
        if self.layout.brute_force:
            raise ValueError('a brute-force index has no leaves to search')
        if not (1 <= leaves_to_search <= self.layout.leaves and 1 <= reorder <= len(self)):
            raise ValueError(
                f'leaves_to_search={leaves_to_search} must lie in 1..{self.layout.leaves}, and '
                f'reorder={reorder} in 1..{len(self)}'
            )
        layout = dataclasses.replace(self.layout, leaves_to_search=leaves_to_search, reorder=reorder)
        manifest = dataclasses.replace(self._manifest, layout=layout, recall=None)
        return ScannIndex(self._searcher, self._items, manifest)

    def vouched_for(self, recall: ReachedRecall) -> 'ScannIndex':
        """The same index with what it was measured to reach."""
        manifest = dataclasses.replace(self._manifest, recall=recall)
        return ScannIndex(self._searcher, self._items, manifest)

    def search(self, queries: Float[np.ndarray, 'queries dim'], k: int) -> SearchResult:
        """See `VectorIndex.search`."""
        rows = check_search(queries, k, n_items=len(self), dim=self._manifest.dim)
        if not len(rows):
            return SearchResult(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
        # Given at every search, because a tuned index is searched otherwise than it was built.
        thoroughness = (
            () if self.layout.brute_force else (max(k, self.layout.reorder), self.layout.leaves_to_search)
        )
        found, scores = self._searcher.search_batched_parallel(rows, k, *thoroughness)
        # ScaNN fills the slots it found nothing for with row 0, which is a real item, and a score of NaN.
        absent = np.isnan(scores)
        return SearchResult(
            items=np.where(absent, ABSENT, self._items[found]), scores=np.where(absent, -np.inf, scores)
        )

    def save(self, directory: str | os.PathLike) -> None:
        """Writes the index into `directory`, which may be moved; an index already there is replaced.

        Raises:
          FileExistsError: `directory` holds something else than an index.
        """
        write_scann_index(pathlib.Path(directory), self._searcher, self._items, self._manifest)

    @classmethod
    def load(
        cls, directory: str | os.PathLike, vectors: Float[np.ndarray, 'items dim'] | None = None
    ) -> 'ScannIndex':
        """Reads an index back; it finds exactly what the saved one found.

        Args:
          directory: where `save` wrote it.
          vectors: the item vectors that the index is to be over, by item; None to take whatever it is over.

        Raises:
          FileNotFoundError: `directory` holds no index.
          ValueError: a file of the index is missing, changed or not its own, or the index was made from other
            vectors.
        """
        directory = pathlib.Path(directory)
        items, manifest = read_scann_index(directory)
        if vectors is not None and not vectors_are(vectors, items, manifest.vectors_sha256):
            raise other_vectors(directory)
        searcher = scann_ops_pybind().load_searcher(str(directory), assets_backcompat_shim=False)
        return cls(searcher, items, manifest)
