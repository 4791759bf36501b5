"""What the lists do to the catalogue: how much of it is shown, how popular, how varied."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.evaluation.recommendations import ABSENT


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """What is known of the items when lists are judged.

    Attributes:
      train_counts: how often each item occurs in training.
      categories: path of each item from the root to the leaf, empty where unknown; None leaves diversity of
        categories out.
      vectors: content vector of each item; None leaves the distance within lists out.

    Raises:
      ValueError: when the columns differ in length.
    """

    train_counts: Float[np.ndarray, 'items']
    categories: Sequence[tuple[str, ...]] | None = None
    vectors: Float[np.ndarray, 'items dim'] | None = None

    def __post_init__(self):
        for name in ('categories', 'vectors'):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.train_counts):
                raise ValueError(
                    f'Catalogue.{name} has {len(column)} rows for {len(self.train_counts)} items; '
                    'it needs one an item'
                )

    def metrics(self, items: Int[np.ndarray, 'cases listed'], k: int) -> Mapping[str, float]:
        """Every metric of the first `k` items that the columns allow; absent slots are left out."""
        items = items[:, :k]
        named = {
            f'coverage@{k}': coverage(items, len(self.train_counts)),
            f'popularity_percentile@{k}': popularity_percentile(items, self.train_counts),
            f'exposure_gini@{k}': exposure_gini(items, len(self.train_counts)),
        }
        if self.categories is not None:
            named[f'distinct_categories@{k}'] = distinct_categories(items, self.categories)
        if self.vectors is not None:
            named[f'intra_list_distance@{k}'] = intra_list_distance(items, self.vectors)
        return named


def coverage(items: Int[np.ndarray, 'cases k'], n_items: int) -> float:
    """Share of the catalogue that is in at least one list."""
    return len(np.unique(items[items != ABSENT])) / n_items


def popularity_percentile(
    items: Int[np.ndarray, 'cases k'], train_counts: Float[np.ndarray, 'items']
) -> float:
    """Mean over all listed items of the share of the catalogue that is less popular, equals counting half.

    0.5 is what a uniformly random recommender gets; near 1, only the most popular items are listed. 0 where
    nothing is listed.
    """
    ordered = np.sort(train_counts)
    below = np.searchsorted(ordered, train_counts, side='left')
    up_to = np.searchsorted(ordered, train_counts, side='right')
    percentile = (below + up_to) / (2 * len(train_counts))
    listed = items[items != ABSENT]
    return float(percentile[listed].mean()) if len(listed) else 0.0


def exposure_gini(items: Int[np.ndarray, 'cases k'], n_items: int) -> float:
    """Gini coefficient of how often each item of the catalogue is listed.

    0 where all are listed equally often, (n_items - 1) / n_items where one takes every slot; 0 where nothing
    is listed.
    """
    exposure = np.sort(np.bincount(items[items != ABSENT], minlength=n_items)).astype(np.float64)
    if not exposure.sum():
        return 0.0
    position = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float((position * exposure).sum() / (n_items * exposure.sum()))


def distinct_categories(items: Int[np.ndarray, 'cases k'], categories: Sequence[tuple[str, ...]]) -> float:
    """Mean number of different category paths in a list; items without one count as one category together."""
    number = {path: row for row, path in enumerate(dict.fromkeys(categories))}
    of_item = np.array([number[path] for path in categories])
    listed = np.sort(np.where(items == ABSENT, ABSENT, of_item[items]), axis=1)
    first_of_kind = np.concatenate([np.ones((len(listed), 1), bool), listed[:, 1:] != listed[:, :-1]], axis=1)
    return float((first_of_kind & (listed != ABSENT)).sum(axis=1).mean())


def intra_list_distance(items: Int[np.ndarray, 'cases k'], vectors: Float[np.ndarray, 'items dim']) -> float:
    """Mean over lists of the mean cosine distance between two different items of the list.

    Lists of fewer than two items are left out; 0 where there is no other list.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    total, lists = 0.0, 0
    step = max(1, 2_000_000 // (items.shape[1] * vectors.shape[1]))
    for start in range(0, len(items), step):
        part = items[start : start + step]
        listed = np.where((part == ABSENT)[..., None], 0.0, unit[part])
        # |sum of unit vectors|^2 holds every pair's cosine twice and every item's own once.
        pairs_of_items = (part != ABSENT).sum(axis=1)
        own = np.square(listed).sum(axis=(1, 2))
        cosines = np.square(listed.sum(axis=1)).sum(axis=1) - own
        pairs = pairs_of_items * (pairs_of_items - 1)
        total += (1 - cosines[pairs > 0] / pairs[pairs > 0]).sum()
        lists += int((pairs > 0).sum())
    return float(total / lists) if lists else 0.0
