import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from llmrec_jax.evaluation import sparse_ranking
from llmrec_jax.evaluation.baselines.counted import BASELINES, ItemKnn, fit_baselines
from llmrec_jax.evaluation.recommender import DenseRecommender
from tests.evaluation.ranking_cases import ranking_cases, sequences

N_ITEMS = 9
HISTORIES = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=7), min_size=1, max_size=8)


def assert_ranks_as_whole_rows(recommender, cases, k, seen_items):
    found = recommender.recommend(cases, k, seen_items=seen_items)
    whole = DenseRecommender.recommend(recommender, cases, k, seen_items=seen_items)
    np.testing.assert_array_equal(found.items, whole.items)
    np.testing.assert_array_equal(found.scores, whole.scores)
    np.testing.assert_array_equal(found.target_rank, whole.target_rank)


# Few items and small counts, so that most scores are tied.
@pytest.mark.parametrize('seen_items', ['kept', 'removed'])
@hypothesis.given(HISTORIES, HISTORIES, st.integers(1, N_ITEMS + 2), st.sampled_from([0.3, 1.0]), st.data())
@hypothesis.settings(max_examples=50)
def test_every_baseline_answers_as_ranking_whole_rows_does(seen_items, train, histories, k, share, data):
    hypothesis.assume(any(train))
    targets = data.draw(
        st.lists(st.integers(0, N_ITEMS - 1), min_size=len(histories), max_size=len(histories))
    )
    paths = [('a',), ('a', 'b'), ('c',), ()]
    categories = [paths[item % 4] for item in range(N_ITEMS)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_ranking, 'SPARSE_SHARE', share)
        patch.setattr(sparse_ranking, 'CASES_AT_ONCE', 3)
        fitted = fit_baselines(sequences(train), N_ITEMS, categories)
        assert fitted.keys() == set(BASELINES)
        for recommender in fitted.values():
            assert_ranks_as_whole_rows(recommender, ranking_cases(histories, targets), k, seen_items)


def test_neighbours_by_two_factors_answer_as_whole_rows_do(monkeypatch):
    monkeypatch.setattr('llmrec_jax.evaluation.baselines.counted._PAIRS_HELD', 0)
    rng = np.random.default_rng(0)
    train = sequences(rng.integers(0, 40, (30, 5)).tolist())
    cases = ranking_cases(rng.integers(0, 40, (20, 3)).tolist(), rng.integers(0, 40, 20).tolist())
    for seen_items in ('kept', 'removed'):
        assert_ranks_as_whole_rows(ItemKnn(train, 40), cases, 10, seen_items)


def test_a_million_items_are_ranked_without_a_row_of_scores_a_case(monkeypatch):
    rng = np.random.default_rng(1)
    n_items = 1_000_000
    train = sequences(rng.integers(0, n_items, (2000, 4)).tolist())
    cases = ranking_cases(train.values.reshape(2000, 4)[:, :3].tolist(), train.values[3::4].tolist())
    monkeypatch.setattr(DenseRecommender, 'recommend', None)
    fitted = fit_baselines(train, n_items)
    # What follows and what goes with a training history is its own last item, before all that is as good.
    for name in ('item_knn', 'markov', 'decayed_markov'):
        found = fitted[name].recommend(cases, 5, seen_items='removed')
        assert np.mean(found.target_rank == 1) > 0.95
