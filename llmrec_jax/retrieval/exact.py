"""Exact search: every item is scored, a block of the catalogue at a time, on the default device.

It tells how much of the truth an approximate index finds.
"""

import dataclasses
import functools
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from llmrec_jax.retrieval.index_files import checked_record, not_a_manifest, other_vectors, write_index
from llmrec_jax.retrieval.item_vectors import ItemVectors, check_search, vectors_are
from llmrec_jax.retrieval.retriever import SearchResult, VectorIndex


@dataclasses.dataclass(frozen=True)
class ExactSettings:
    """How much is scored at once: at most `query_batch` x `block_items` float32 scores live on the device.

    Attributes:
      block_items: largest number of items scored at once.
      query_batch: largest number of queries scored at once.
    """

    block_items: int = 65_536
    query_batch: int = 256

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f'ExactSettings.{field.name}={getattr(self, field.name)} must be at least 1')


DEFAULT_SETTINGS = ExactSettings()
FORMAT = 'llmrec_jax exact index 1'
VECTORS, ITEMS = 'vectors.npy', 'items.npy'


class ExactSearch:
    """The true k best items by float32 dot product; of equal scores the lowest item index comes first."""

    def __init__(
        self,
        vectors: Float[np.ndarray, 'items dim'],
        *,
        items: Int[np.ndarray, 'items'] | None = None,
        settings: ExactSettings = DEFAULT_SETTINGS,
    ):
        """Puts the vectors on the default device, cut into blocks of equal length.

        Args:
          vectors: one row an item.
          items: the item index of each row, where the rows are a part of the catalogue; None for 0, 1, 2, ...
          settings: sizes of the blocks.

        Raises:
          ValueError: see `ItemVectors.checked`.
        """
        catalogue = ItemVectors.checked(vectors, items)
        n_blocks = -(-len(catalogue) // settings.block_items)
        block = -(-len(catalogue) // n_blocks)
        padded = np.pad(catalogue.vectors, ((0, n_blocks * block - len(catalogue)), (0, 0)))
        self._blocks = jnp.asarray(padded.reshape(n_blocks, block, catalogue.dim))
        self._items = catalogue.items
        self._sha256 = catalogue.sha256()
        self._query_batch = settings.query_batch

    def __len__(self) -> int:
        return len(self._items)

    def search(self, queries: Float[np.ndarray, 'queries dim'], k: int) -> SearchResult:
        """See `VectorIndex.search`; there are never absent slots."""
        rows = check_search(queries, k, n_items=len(self), dim=self._blocks.shape[-1])
        # Few queries are padded to a power of two: one query costs one, and few shapes are compiled.
        batch = min(self._query_batch, 1 << max(len(rows) - 1, 0).bit_length())
        found = np.empty((len(rows), k), np.int64)
        scores = np.empty((len(rows), k), np.float32)
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            padded = np.pad(part, ((0, batch - len(part)), (0, 0)))
            part_scores, part_rows = _top_k(self._blocks, padded, len(self), k)
            found[start : start + batch] = self._items[np.asarray(part_rows)[: len(part)]]
            scores[start : start + batch] = np.asarray(part_scores)[: len(part)]
        return SearchResult(found, scores)

    def save(self, directory: str | os.PathLike) -> None:
        """Writes vectors and items into `directory`, which may be moved; an index already there is replaced.

        Raises:
          FileExistsError: `directory` holds something else than an index.
        """

        def write_files(folder: pathlib.Path) -> None:
            np.save(folder / VECTORS, self._vectors())
            np.save(folder / ITEMS, self._items)

        record = {'format': FORMAT, 'n_items': len(self), 'vectors_sha256': self._sha256}
        write_index(pathlib.Path(directory), record, write_files)

    @classmethod
    def load(
        cls,
        directory: str | os.PathLike,
        vectors: Float[np.ndarray, 'items dim'] | None = None,
        *,
        settings: ExactSettings = DEFAULT_SETTINGS,
    ) -> 'ExactSearch':
        """Reads an index back.

        Args:
          directory: where `save` wrote it.
          vectors: the item vectors that the index is to be over, by item; None to take whatever it is over.
          settings: sizes of the blocks.

        Raises:
          FileNotFoundError: `directory` holds no index.
          ValueError: a file of the index is missing, changed or not its own, or the index was made from other
            vectors.
        """
        directory = pathlib.Path(directory)
        record = checked_record(directory, FORMAT)
        if 'vectors_sha256' not in record:
            raise not_a_manifest(directory, 'it names no vectors')
        items = np.load(directory / ITEMS)
        if vectors is not None and not vectors_are(vectors, items, record['vectors_sha256']):
            raise other_vectors(directory)
        return cls(np.load(directory / VECTORS), items=items, settings=settings)

    def _vectors(self) -> Float32[np.ndarray, 'items dim']:
        return np.asarray(self._blocks).reshape(-1, self._blocks.shape[-1])[: len(self)]


@functools.partial(jax.jit, static_argnames=('n_items', 'k'))
def _top_k(
    blocks: Float[Array, 'blocks block dim'], queries: Float[Array, 'queries dim'], n_items: int, k: int
) -> tuple[Float[Array, 'queries k'], Int[Array, 'queries k']]:
    n_blocks, block, _ = blocks.shape
    of_block = min(k, block)

    def merge(best, step):
        vectors, first = step
        # The default precision of a TPU or GPU rounds the factors, which swaps near neighbours.
        scores = jnp.einsum('qd,bd->qb', queries, vectors, precision=jax.lax.Precision.HIGHEST)
        inside = first + jnp.arange(block) < n_items
        block_scores, position = jax.lax.top_k(jnp.where(inside[None, :], scores, -jnp.inf), of_block)
        # `top_k` keeps the first of equal scores, and the rows kept so far precede those of the block.
        merged = jnp.concatenate([best[0], block_scores], axis=1)
        merged_rows = jnp.concatenate([best[1], first + position], axis=1)
        kept_scores, kept = jax.lax.top_k(merged, k)
        return (kept_scores, jnp.take_along_axis(merged_rows, kept, axis=1)), None

    start = (jnp.full((len(queries), k), -jnp.inf), jnp.zeros((len(queries), k), jnp.int32))
    firsts = jnp.arange(n_blocks, dtype=jnp.int32) * block
    (scores, rows), _ = jax.lax.scan(merge, start, (blocks, firsts))
    return scores, rows


def recall_against_exact(
    index: VectorIndex, exact: ExactSearch, queries: Float[np.ndarray, 'queries dim'], k: int
) -> float:
    """Share of the true `k` best items of the queries that `index` returns among its `k`.

    Items are compared, never scores, so an index is not judged by its own arithmetic; an item that merely
    ties with the k-th best counts as missed, which makes this a lower bound where vectors repeat.

    Raises:
      ValueError: there are no queries, or see `VectorIndex.search`.
    """
    if not len(queries):
        raise ValueError('recall is not defined without queries')
    return float(recall_by_query(exact.search(queries, k), index.search(queries, k)).mean())


def recall_by_query(truth: SearchResult, found: SearchResult) -> Float[np.ndarray, 'queries']:
    """Share of each query's true items that were found."""
    return np.array([np.isin(t, f).mean() for t, f in zip(truth.items, found.items)])
