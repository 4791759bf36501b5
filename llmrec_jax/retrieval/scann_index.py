"""Approximate search over item vectors with ScaNN, behind checks for what ScaNN answers in silence."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.retrieval.index_files import other_vectors
from llmrec_jax.retrieval.item_vectors import ItemVectors, check_search, vectors_are
from llmrec_jax.retrieval.scann_files import ScannManifest, read_scann_index, write_scann_index
from llmrec_jax.retrieval.scann_ops import scann_ops_pybind
from llmrec_jax.retrieval.scann_settings import ReachedRecall, ScannLayout, ScannSettings
from llmrec_jax.retrieval.search_result import ABSENT, SearchResult

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
