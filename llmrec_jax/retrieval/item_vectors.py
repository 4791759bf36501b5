"""Item vectors and queries as an index takes them: checked, because it would answer bad ones in silence."""

import dataclasses
import hashlib

import numpy as np
from jaxtyping import Float, Float32, Int, Int64

from llmrec_jax.retrieval.retriever import check_k

# Products of two such values, summed over any sensible width, stay within float32.
LARGEST_VALUE = 1e15


@dataclasses.dataclass(frozen=True)
class ItemVectors:
    """The vectors an index is built over, in ascending order of item.

    Attributes:
      vectors: one finite row an item.
      items: the item index of each row, ascending and distinct.
    """

    vectors: Float32[np.ndarray, 'items dim']
    items: Int64[np.ndarray, 'items']

    @classmethod
    def checked(
        cls, vectors: Float[np.ndarray, 'items dim'], items: Int[np.ndarray, 'items'] | None = None
    ) -> 'ItemVectors':
        """Checks, casts to float32 and sorts by item.

        Args:
          vectors: one row an item.
          items: the item index of each row, where the rows are a part of the catalogue; None for 0, 1, 2, ...

        Raises:
          ValueError: there are no rows or no columns, a value is NaN or beyond `LARGEST_VALUE`, or an item is
            negative or occurs twice, or there is not one for each row.
        """
        if 0 in vectors.shape:
            raise ValueError(
                f'item vectors of shape {vectors.shape} are empty: an index needs at least one item'
            )
        rows = _finite_float32(vectors, 'item vectors')
        if items is None:
            return cls(rows, np.arange(len(rows), dtype=np.int64))
        if len(items) != len(rows):
            raise ValueError(f'{len(items)} items are named for {len(rows)} item vectors')
        order = np.argsort(items, kind='stable')
        sorted_items = items[order].astype(np.int64)
        if sorted_items[0] < 0:
            raise ValueError(f'item {sorted_items[0]} in row {order[0]}: item indices start at 0')
        repeated = np.flatnonzero(sorted_items[1:] == sorted_items[:-1])
        if len(repeated):
            first = repeated[0]
            raise ValueError(
                f'item {sorted_items[first]} stands in rows {order[first]} and {order[first + 1]}: an index '
                'holds each item once'
            )
        return cls(rows[order], sorted_items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.vectors.shape[1]

    def sha256(self) -> str:
        """Names the vectors and the items they belong to."""
        digest = hashlib.sha256(repr(self.vectors.shape).encode())
        digest.update(self.vectors.tobytes())
        digest.update(self.items.tobytes())
        return digest.hexdigest()


def vectors_are(
    vectors: Float[np.ndarray, 'vectors dim'], items: Int[np.ndarray, 'items'], sha256: str
) -> bool:
    """Whether these are the vectors that an index names by `ItemVectors.sha256`.

    Args:
      vectors: in the order of the items.
      items: the items of the index.
      sha256: of the vectors it was built over.

    Raises:
      ValueError: see `ItemVectors.checked`.
    """
    return len(vectors) == len(items) and ItemVectors.checked(vectors, items).sha256() == sha256


def check_search(
    queries: Float[np.ndarray, 'queries dim'], k: int, *, n_items: int, dim: int
) -> Float32[np.ndarray, 'queries dim']:
    """The queries in float32.

    Raises:
      ValueError: see `VectorIndex.search`.
    """
    check_k(k, n_items)
    if queries.shape[1] != dim:
        raise ValueError(f'queries have {queries.shape[1]} dimensions, the items of the index {dim}')
    return _finite_float32(queries, 'queries')


def _finite_float32(values: Float[np.ndarray, 'rows dim'], name: str) -> Float32[np.ndarray, 'rows dim']:
    bad = np.flatnonzero(~(np.abs(values) <= LARGEST_VALUE).all(axis=1))
    if len(bad):
        raise ValueError(
            f'{len(bad)} of {len(values)} {name} hold NaN or a value beyond +-{LARGEST_VALUE:g}: first '
            f'row {bad[0]}; mend the encoder that made them'
        )
    return np.ascontiguousarray(values, np.float32)
