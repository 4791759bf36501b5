"""The ScaNN index of a wished recall that reads least, found by measuring against exact search."""

import dataclasses
import logging
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.retrieval.exact import ExactSearch, recall_by_query
from llmrec_jax.retrieval.retriever import SearchResult
from llmrec_jax.retrieval.scann_index import ReachedRecall, ScannIndex, ScannLayout, ScannSettings

LOG = logging.getLogger(__name__)
# Partitions that are tried, as multiples of the square root of the number of items.
LEAVES = (0.5, 1.0, 2.0)
# Candidates scored exactly that are tried, as multiples of k.
REORDERED = (2, 5, 10, 20, 50, 100)
# A recall from some queries is an estimate: the choice asks for the wished one with as many to spare.
STANDARD_ERRORS = 2.0
FLOAT_BYTES = 4
# Asymmetric hashing keeps 4 bits of every 2 dimensions.
HASH_BYTES_OF_DIMENSION = 0.25


@dataclasses.dataclass(frozen=True)
class ScannTuning:
    """What a tuned index is to reach, and what is tried for it.

    Attributes:
      recall: share of the true `k` nearest that is wished.
      k: neighbours that the recall is of.
      leaves: numbers of partitions to try; None for `LEAVES` times the square root of the number of items.
      anisotropic_thresholds: to try, the first with all numbers of partitions and the others with the best
        (Guo et al. 2020, section 3: how much an error along the vector counts over one across it).
      reorders: numbers of candidates scored exactly to try; None for `REORDERED` times `k`.

    Raises:
      ValueError: when the recall is not in (0, 1), or a number to try is not above 0.
    """

    recall: float = 0.95
    k: int = 10
    leaves: Sequence[int] | None = None
    anisotropic_thresholds: Sequence[float] = (0.2, 0.1, 0.4)
    reorders: Sequence[int] | None = None

    def __post_init__(self):
        if not 0 < self.recall < 1:
            raise ValueError(
                f'ScannTuning.recall={self.recall} must lie between 0 and 1; for 1 use ExactSearch'
            )
        if self.k < 1:
            raise ValueError(f'ScannTuning.k={self.k} must be at least 1')
        for field in ('leaves', 'anisotropic_thresholds', 'reorders'):
            tried = getattr(self, field)
            if tried is not None and (not tried or min(tried) <= 0):
                raise ValueError(f'ScannTuning.{field}={tried} must name numbers above 0')


DEFAULT_TUNING = ScannTuning()


def tuned_index(
    vectors: Float[np.ndarray, 'items dim'],
    queries: Float[np.ndarray, 'queries dim'],
    *,
    items: Int[np.ndarray, 'items'] | None = None,
    tuning: ScannTuning = DEFAULT_TUNING,
) -> ScannIndex:
    """Builds indexes over the vectors and returns the one that reaches the wished recall by reading least.

    Every second query chooses the settings, the others tell what recall the choice reaches, which the index
    keeps and saves. What counts is the memory that a query reads (`bytes_read`), not time, because a time
    depends on what else the machine does.

    Args:
      vectors: one row an item.
      queries: what will be asked, e.g. queries of validation; 1000 measure a recall of .95 to .003.
      items: the item index of each row; None for 0, 1, 2, ...
      tuning: what is wished and tried.

    Raises:
      ValueError: there are less than two queries, `tuning.k` exceeds the items, no setting that was tried
        reaches the recall, or see `ScannIndex.build`.
    """
    if len(queries) < 2:
        raise ValueError(f'{len(queries)} queries cannot both choose settings and measure what they reach')
    choosing, vouching = queries[::2], queries[1::2]
    exact = ExactSearch(vectors, items=items)
    trial = _Trial(choosing, exact.search(choosing, tuning.k), tuning)
    root = math.sqrt(len(vectors))
    leaves = tuning.leaves or sorted({min(len(vectors), max(1, round(share * root))) for share in LEAVES})
    best: ScannIndex | None = None
    first, *others = tuning.anisotropic_thresholds
    for number in leaves:
        best = trial.better(best, _build(vectors, items, number, first))
    if best is None:
        raise ValueError(
            f'no index of {list(leaves)} leaves with {trial.reorders(len(vectors))} candidates reordered '
            f'reaches a recall@{tuning.k} of {tuning.recall}: give ScannTuning.reorders larger numbers, wish '
            'for less, or use ExactSearch'
        )
    for threshold in others:
        best = trial.better(best, _build(vectors, items, best.layout.leaves, threshold))
    reached = recall_by_query(exact.search(vouching, tuning.k), best.search(vouching, tuning.k)).mean()
    LOG.info('ScaNN: recall@%d %.4f with %s', tuning.k, reached, best.layout)
    return best.vouched_for(ReachedRecall(tuning.k, tuning.recall, float(reached), len(vouching)))


def bytes_read(layout: ScannLayout, n_items: int, dim: int) -> float:
    """Bytes that a query reads: centres of all partitions, hashes of those searched, vectors reordered."""
    hashed = n_items * layout.leaves_to_search / layout.leaves
    return dim * (FLOAT_BYTES * (layout.leaves + layout.reorder) + HASH_BYTES_OF_DIMENSION * hashed)


def _build(
    vectors: Float[np.ndarray, 'items dim'],
    items: Int[np.ndarray, 'items'] | None,
    leaves: int,
    threshold: float,
) -> ScannIndex:
    settings = ScannSettings(
        leaves=leaves, leaves_to_search=1, anisotropic_threshold=threshold, brute_force_below=0
    )
    return ScannIndex.build(vectors, items=items, settings=settings)


@dataclasses.dataclass(frozen=True, eq=False)
class _Trial:
    """The queries that choose, and the truth about them."""

    queries: Float[np.ndarray, 'queries dim']
    truth: SearchResult
    tuning: ScannTuning

    def reorders(self, n_items: int) -> list[int]:
        """Numbers of candidates to try."""
        wished = self.tuning.reorders or [self.tuning.k * multiple for multiple in REORDERED]
        return sorted({min(number, n_items) for number in wished})

    def better(self, best: ScannIndex | None, index: ScannIndex) -> ScannIndex | None:
        """The index with its cheapest sufficient settings, where they are cheaper than those of `best`."""
        # From many down, so that what suffices soon bounds what is tried where too few are reordered.
        for reorder in reversed(self.reorders(len(index))):
            best = self._fewest_leaves(best, index, reorder)
        return best

    def _fewest_leaves(self, best: ScannIndex | None, index: ScannIndex, reorder: int) -> ScannIndex | None:
        dim = self.queries.shape[1]
        bound = math.inf if best is None else bytes_read(best.layout, len(best), dim)
        too_few, number = 0, 1
        while True:
            tried = index.searched_with(number, reorder)
            if bytes_read(tried.layout, len(index), dim) >= bound:
                return best
            if self._suffices(tried):
                break
            if number == index.layout.leaves:
                return best
            too_few, number = number, min(2 * number, index.layout.leaves)
        while number - too_few > 1:
            middle = (too_few + number) // 2
            if self._suffices(index.searched_with(middle, reorder)):
                number = middle
            else:
                too_few = middle
        return index.searched_with(number, reorder)

    def _suffices(self, index: ScannIndex) -> bool:
        recalls = recall_by_query(self.truth, index.search(self.queries, self.tuning.k))
        error = recalls.std() / math.sqrt(len(recalls))
        return bool(recalls.mean() - STANDARD_ERRORS * error >= self.tuning.recall)
