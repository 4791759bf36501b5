import numpy as np
import pytest

from llmrec_jax.evaluation import recommender
from llmrec_jax.evaluation.recommender import DenseRecommender, Recommender
from tests.evaluation.ranking_cases import ranking_cases


class MinusIndex(DenseRecommender):
    """Scores item i with -i - 1, so that 0 would beat every honest score."""

    n_items = 6

    def scores(self, histories):
        return np.tile(-np.arange(6.0) - 1, (len(histories), 1))


def test_a_dense_recommender_is_a_recommender():
    assert isinstance(MinusIndex(), Recommender)


def test_removed_means_minus_infinity_and_not_zero():
    cases = ranking_cases([[0, 2], [5, 5]], [3, 1])
    kept = MinusIndex().recommend(cases, 3, seen_items='kept')
    removed = MinusIndex().recommend(cases, 3, seen_items='removed')
    assert kept.items.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert removed.items.tolist() == [[1, 3, 4], [0, 1, 2]]
    assert kept.target_rank.tolist() == [4, 2]
    assert removed.target_rank.tolist() == [2, 2]


def test_a_target_that_was_seen_and_removed_is_a_miss():
    cases = ranking_cases([[0, 1]], [0])
    assert MinusIndex().recommend(cases, 3, seen_items='removed').target_rank.tolist() == [0]


def test_removing_everything_leaves_only_absent_slots():
    found = MinusIndex().recommend(ranking_cases([[0, 1, 2, 3, 4, 5]], [0]), 3, seen_items='removed')
    assert found.items.tolist() == [[-1, -1, -1]]


def test_batches_do_not_change_the_answer(monkeypatch):
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 6, size=rng.integers(0, 4)).tolist() for _ in range(11)]
    cases = ranking_cases(rows, rng.integers(0, 6, size=11).tolist())
    whole = MinusIndex().recommend(cases, 4, seen_items='removed')
    monkeypatch.setattr(recommender, 'SCORES_AT_ONCE', 18)
    parts = MinusIndex().recommend(cases, 4, seen_items='removed')
    assert parts.items.tolist() == whole.items.tolist()
    assert parts.target_rank.tolist() == whole.target_rank.tolist()


def test_an_unknown_switch_and_no_cases_are_refused():
    with pytest.raises(ValueError, match='seen_items'):
        MinusIndex().recommend(ranking_cases([[0]], [1]), 3, seen_items='hidden')
    with pytest.raises(ValueError, match='no cases'):
        MinusIndex().recommend(ranking_cases([], []), 3, seen_items='kept')
