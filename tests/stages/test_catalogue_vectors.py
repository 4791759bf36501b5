"""The two sides of a trained model: what an index finds by them is what ranking the catalogue finds."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.retrieval_recommender import RetrievalRecommender
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.network import Scoring
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.two_tower.in_batch_softmax import InBatchSoftmax
from llmrec_jax.models.two_tower.towers import HistoryTower, ItemTower
from llmrec_jax.retrieval.exact import ExactSearch
from llmrec_jax.retrieval.retriever import Requests
from llmrec_jax.retrieval.vector_retriever import VectorRetriever
from llmrec_jax.stages.catalogue_ranking import CatalogueRecommender
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape
from tests.drawn_parameters import drawn

N_ITEMS, MAX_ITEMS, USERS = 40, 6, 21
RNG = np.random.default_rng(0)
MODEL = SequentialRecommenderModel(
    ItemTower(4, hidden=()),
    HistoryTower(hidden=()),
    InBatchSoftmax(log_q=False),
    scoring=Scoring(temperature=0.1, item_bias=True),
).for_catalogue(CatalogueFacts(N_ITEMS, vectors=RNG.normal(size=(N_ITEMS, 3)).astype(np.float32)))
MESH = MeshShape(data=4, model=2).build()


@pytest.fixture(scope='module')
def tower():
    params = drawn(MODEL, {})
    bias = jnp.linspace(0.0, 1.0, params['bias'].size)
    return CatalogueRecommender(MODEL, {**params, 'bias': bias}, MESH, STANDARD_RULES, MAX_ITEMS, 8, (3,))


def test_an_exact_index_finds_what_ranking_the_catalogue_finds(tower):
    lengths = RNG.integers(1, 10, USERS)
    histories = Sequences(RNG.integers(0, N_ITEMS, lengths.sum()), np.cumsum([0, *lengths]))
    cases = RankingCases(np.arange(USERS), histories, RNG.integers(0, N_ITEMS, USERS))
    vectors = tower.item_vectors()
    assert vectors.shape == (N_ITEMS, 5)
    found = RetrievalRecommender(VectorRetriever(ExactSearch(vectors), tower), depth=N_ITEMS)
    for seen_items in ('kept', 'removed'):
        expected = tower.recommend(cases, 10, seen_items=seen_items)
        answered = found.recommend(cases, 10, seen_items=seen_items)
        np.testing.assert_array_equal(answered.items, expected.items)
        np.testing.assert_array_equal(answered.target_rank, expected.target_rank)


def test_an_empty_history_asks_by_the_items_own_biases(tower):
    nothing = tower(Requests(Sequences(np.zeros(0, np.int64), np.array([0, 0]))))
    np.testing.assert_array_equal(nothing, [[0, 0, 0, 0, 1]])


def test_items_outside_the_catalogue_are_refused(tower):
    for item in (-1, N_ITEMS):
        with pytest.raises(ValueError, match=f'name item {item}, but the catalogue has 40 items'):
            tower(Requests(Sequences(np.array([item]), np.array([0, 1]))))
    with pytest.raises(ValueError, match='the query tower goes by histories'):
        tower(Requests(texts=['red nail polish']))
