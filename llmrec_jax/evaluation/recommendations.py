"""What a recommender answers: the best items of each case, and where the true next item stands among them."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

ABSENT = -1


@dataclasses.dataclass(frozen=True)
class Recommendations:
    """Ranked items of each case, best first.

    Attributes:
      items: item indices; -1 (`ABSENT`) where fewer than `k` items were found. Absent slots come last.
      scores: descending; -inf in absent slots. Comparable within a case only.
      target_rank: rank of the case's target t from 1, ties counted against it: 1 + #{j != t : s_j >= s_t};
        0 where the target was not ranked, because it was removed or lies beyond what was fetched. It may
        exceed `k` where more items were ranked than are listed.

    Raises:
      ValueError: when a score is NaN, a row does not descend, names an item twice, or has a slot that is
        absent by its item and not by its score.
    """

    items: Int[np.ndarray, 'cases k']
    scores: Float[np.ndarray, 'cases k']
    target_rank: Int[np.ndarray, 'cases']

    def __post_init__(self):
        _check_lists(self.items, self.scores)
        if len(self.target_rank) and self.target_rank.min() < 0:
            raise ValueError('a target rank is negative; ranks start at 1, and 0 means not ranked')

    def __len__(self) -> int:
        return len(self.target_rank)

    def top(self, k: int) -> 'Recommendations':
        """The same with at most `k` items a case."""
        return Recommendations(self.items[:, :k], self.scores[:, :k], self.target_rank)


def from_dense(
    scores: Float[np.ndarray, 'cases items'], targets: Int[np.ndarray, 'cases'], k: int
) -> Recommendations:
    """Ranks the whole catalogue by its scores; an item with score -inf is removed, not ranked last.

    Items of equal score are listed in item order, which carries nothing once ids are relabelled at random;
    the rank of the target does not depend on that order.

    Raises:
      ValueError: when a score is NaN.
    """
    # The minimum is NaN where any score is, and needs no second array of that size.
    if scores.size and np.isnan(scores.min()):
        case, item = np.argwhere(np.isnan(scores))[0]
        raise ValueError(f'the score of item {item} is NaN in row {case} of the batch')
    k = min(k, scores.shape[1])
    of_target = np.take_along_axis(scores, targets[:, None], axis=1)
    # The target itself is among those that score at least as high, which makes the rank start at 1.
    ranks = np.where(np.isneginf(of_target[:, 0]), 0, (scores >= of_target).sum(axis=1))
    listed = _top_k(scores, k)
    top_scores = np.take_along_axis(scores, listed, axis=1)
    return Recommendations(np.where(np.isneginf(top_scores), ABSENT, listed), top_scores, ranks)


def from_ranked_lists(
    items: Int[np.ndarray, 'cases fetched'],
    scores: Float[np.ndarray, 'cases fetched'],
    targets: Int[np.ndarray, 'cases'],
) -> Recommendations:
    """Wraps lists that a search or a decoder found; a target that is not in its list has rank 0.

    Raises:
      ValueError: when a score is NaN, or see `Recommendations`.
    """
    _check_lists(items, scores)
    hits = items == targets[:, None]
    of_target = np.max(np.where(hits, scores, -np.inf), axis=1, keepdims=True, initial=-np.inf)
    at_least = (scores >= of_target) & (items != ABSENT)
    ranks = np.where(hits.any(axis=1), at_least.sum(axis=1), 0)
    return Recommendations(items, scores, ranks)


def from_beams(
    beams: Iterable[tuple[Int[np.ndarray, 'rows'], Any]], targets: Int[np.ndarray, 'cases'], k: int
) -> Recommendations:
    """Puts the beams of batches of cases together; see `from_ranked_lists`.

    Args:
      beams: case rows, and the `items` and `scores` [batch, beam] found for them; a batch may have more rows
        at its end, which repeat others.
      targets: the true next items.
      k: how many items are kept of each beam.
    """
    items = np.full((len(targets), k), ABSENT, np.int64)
    scores = np.full((len(targets), k), -np.inf, np.float64)
    for rows, found in beams:
        items[rows] = np.asarray(found.items)[: len(rows), :k]
        scores[rows] = np.asarray(found.scores)[: len(rows), :k]
    return from_ranked_lists(items, scores, targets)


def concatenate(parts: Sequence[Recommendations]) -> Recommendations:
    """Joins batches of cases, in order."""
    return Recommendations(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in dataclasses.fields(Recommendations)
        )
    )


def _top_k(scores: Float[np.ndarray, 'cases items'], k: int) -> Int[np.ndarray, 'cases k']:
    """Columns of the `k` largest scores of each row, descending, equal ones in column order."""
    n_items = scores.shape[1]
    kth = np.partition(scores, n_items - k, axis=1)[:, n_items - k, None]
    chosen = scores >= kth
    tied = np.flatnonzero(chosen.sum(axis=1) > k)
    if len(tied):
        # The first of those that equal the k-th, as many as there is room for; only these rows need counting.
        above = scores[tied] > kth[tied]
        equal = scores[tied] == kth[tied]
        room = k - above.sum(axis=1, keepdims=True)
        chosen[tied] = above | (equal & (np.cumsum(equal, axis=1, dtype=np.int32) <= room))
    columns = np.nonzero(chosen)[1].reshape(-1, k)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind='stable')
    return np.take_along_axis(columns, order, axis=1)


def _check_lists(items: Int[np.ndarray, 'cases k'], scores: Float[np.ndarray, 'cases k']) -> None:
    if np.isnan(scores).any():
        raise ValueError(f'the score in row {np.argwhere(np.isnan(scores))[0][0]} is NaN')
    absent = items == ABSENT
    if (absent != np.isneginf(scores)).any():
        row = np.argwhere(absent != np.isneginf(scores))[0][0]
        raise ValueError(f'row {row}: an absent slot needs item {ABSENT} and score -inf, both or neither')
    # Comparing neighbours instead of subtracting them, because -inf minus -inf is NaN.
    if (scores[:, 1:] > scores[:, :-1]).any():
        row = np.argwhere(scores[:, 1:] > scores[:, :-1])[0][0]
        raise ValueError(f'row {row}: scores must descend')
    ordered = np.sort(items, axis=1)
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != ABSENT)
    if repeated.any():
        raise ValueError(f'row {np.argwhere(repeated)[0][0]}: an item is listed twice')
