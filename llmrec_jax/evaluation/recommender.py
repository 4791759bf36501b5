"""What the evaluator asks of any system, and the base of those that score the whole catalogue."""

import abc
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.evaluation.recommendations import Recommendations, concatenate, from_dense

# Small enough that a batch stays in the processor's cache while it is ranked.
SCORES_AT_ONCE = 1_000_000


@runtime_checkable
class Recommender(Protocol):
    """A system that answers with ranked items."""

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """The `k` best items of each case and the rank of its target.

        Args:
          cases: histories and targets; the target may be used for its rank alone.
          k: length of the lists.
          seen_items: 'kept' or 'removed', see `Protocol.seen_items`.
        """
        ...


@runtime_checkable
class CandidateRecommender(Protocol):
    """A system that says how well given items come next; for a language model, few."""

    def candidate_scores(
        self, histories: Sequences, candidates: Sequence[Int[np.ndarray, '_']]
    ) -> list[Float[np.ndarray, '_']]:
        """The score of each case's candidates.

        Args:
          histories: of the cases.
          candidates: rows of items, those of each case.
        """
        ...


class DenseRecommender(abc.ABC):
    """A recommender that gives every item of the catalogue a score; works in batches of bounded memory.

    Attributes:
      n_items: size of the catalogue.
    """

    n_items: int

    @abc.abstractmethod
    def scores(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """A score of every item after each history; a new array that the caller may change."""

    def candidate_scores(
        self, histories: Sequences, candidates: Sequence[Int[np.ndarray, '_']]
    ) -> list[Float[np.ndarray, '_']]:
        """See `CandidateRecommender.candidate_scores`."""
        scores = self.scores(histories)
        return [row[asked] for row, asked in zip(scores, candidates, strict=True)]

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """See `Recommender.recommend`.

        Raises:
          ValueError: when there are no cases, `seen_items` has no such position, or a score is NaN.
        """
        check_question(cases, seen_items)
        batches = case_batches(cases, max(1, SCORES_AT_ONCE // self.n_items))
        return concatenate(
            [rank_rows(self.scores(batch.histories), batch, k, seen_items) for batch in batches]
        )


def check_question(cases: RankingCases, seen_items: str) -> None:
    """Checks what a recommender is asked.

    Raises:
      ValueError: when there are no cases or `seen_items` has no such position.
    """
    if seen_items not in SEEN_ITEMS:
        raise ValueError(f'seen_items is {seen_items!r}; it must be one of {SEEN_ITEMS}')
    if not len(cases):
        raise ValueError('no cases to recommend for')


def rank_rows(
    scores: Float[np.ndarray, 'cases items'], cases: RankingCases, k: int, seen_items: str
) -> Recommendations:
    """Ranks rows of scores, which it may change; without the items of histories where these are removed.

    Raises:
      ValueError: when a score is NaN.
    """
    if seen_items == 'removed':
        leave_out(scores, cases.histories)
    return from_dense(scores, cases.target, k)


def leave_out(scores: Float[np.ndarray, 'cases items'], histories: Sequences) -> None:
    """Gives the items of each history a score that keeps them out of every list, in place."""
    # Minus infinity, because 0 would let an item of negative score rise (papers: S3-Rec's slip).
    scores[np.repeat(np.arange(len(histories)), histories.lengths), histories.values] = -np.inf


def case_batches(cases: RankingCases, size: int) -> Iterator[RankingCases]:
    """Consecutive parts of at most `size` cases, without copying the histories."""
    for start in range(0, len(cases), size):
        stop = min(start + size, len(cases))
        yield RankingCases(
            cases.user[start:stop], cases.histories.rows(start, stop), cases.target[start:stop]
        )
