import numpy as np
import pytest

from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.evaluation.retrieval_recommender import RecommenderRetriever, RetrievalRecommender
from llmrec_jax.retrieval.exact import ExactSearch
from llmrec_jax.retrieval.vector_retriever import (
    HistoryVectors,
    VectorRetriever,
    last_item_queries,
    mean_queries,
)
from tests.evaluation.ranking_cases import ranking_cases

N_ITEMS = 50
VECTORS = np.random.default_rng(0).normal(size=(N_ITEMS, 8)).astype(np.float32)


class DotProducts(DenseRecommender):
    """The same by scoring everything."""

    n_items = N_ITEMS

    def __init__(self, queries):
        self._queries = queries

    def scores(self, histories):
        return (self._queries(VECTORS, histories) @ VECTORS.T).astype(np.float64)


def content(vectors, pooling='last_item', depth=100):
    return RetrievalRecommender(
        VectorRetriever(ExactSearch(vectors), HistoryVectors(vectors, pooling)), depth
    )


def cases():
    rng = np.random.default_rng(1)
    rows = [rng.integers(0, N_ITEMS, size=rng.integers(1, 12)).tolist() for _ in range(40)]
    return ranking_cases(rows, rng.integers(0, N_ITEMS, size=40).tolist())


@pytest.mark.parametrize('seen_items', ['kept', 'removed'])
@pytest.mark.parametrize(
    ('query', 'queries'), [('last_item', last_item_queries), ('history_mean', mean_queries)]
)
def test_retrieval_equals_scoring_everything(seen_items, query, queries):
    found = content(VECTORS, query).recommend(cases(), 7, seen_items=seen_items)
    expected = DotProducts(queries).recommend(cases(), 7, seen_items=seen_items)
    assert found.items.tolist() == expected.items.tolist()
    assert found.target_rank.tolist() == expected.target_rank.tolist()


def test_a_target_beyond_the_depth_is_not_ranked_and_the_lists_stay_full():
    shallow = content(VECTORS, depth=10)
    found = shallow.recommend(cases(), 7, seen_items='removed')
    everything = DotProducts(last_item_queries).recommend(cases(), 7, seen_items='removed')
    expected = np.where(everything.target_rank <= 10, everything.target_rank, 0)
    assert found.target_rank.tolist() == expected.tolist()
    assert (found.items >= 0).all()


def test_lists_stay_full_where_the_history_is_what_lies_nearest():
    angles = np.linspace(0, 1, N_ITEMS)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    nearest_20 = list(reversed(range(20)))
    found = content(arc, depth=8).recommend(
        ranking_cases([nearest_20, [0]], [22, 0]), 8, seen_items='removed'
    )
    assert found.items[0].tolist() == list(range(20, 28))
    assert found.target_rank.tolist() == [3, 0]


def test_a_recommender_made_a_retriever_recommends_what_it_did():
    recommender = DotProducts(mean_queries)
    back = RetrievalRecommender(RecommenderRetriever(recommender, N_ITEMS))
    for seen_items in ('kept', 'removed'):
        found = back.recommend(cases(), 7, seen_items=seen_items)
        expected = recommender.recommend(cases(), 7, seen_items=seen_items)
        assert found.items.tolist() == expected.items.tolist()
        assert found.target_rank.tolist() == expected.target_rank.tolist()


def test_what_cannot_be_answered_is_refused():
    with pytest.raises(ValueError, match='histories are empty'):
        content(VECTORS).recommend(ranking_cases([[]], [1]), 3, seen_items='kept')
    with pytest.raises(ValueError, match="seen_items is 'hidden'"):
        content(VECTORS).recommend(cases(), 3, seen_items='hidden')
    with pytest.raises(ValueError, match='no cases'):
        content(VECTORS).recommend(ranking_cases([], []), 3, seen_items='kept')
