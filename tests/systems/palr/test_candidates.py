import dataclasses

import numpy as np
import pytest

from llmrec_jax.corpora.splits import Splits
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.recommendations import from_ranked_lists
from llmrec_jax.evaluation.retrieval_recommender import RetrievalRecommender
from llmrec_jax.retrieval.retriever import Requests
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.systems.palr.candidates import FloorCandidates, RunCandidates
from tests.evaluation.ranking_cases import ranking_cases, sequences

NAMES = [f'item {row}' for row in range(8)]
CATALOGUE = ShownItems(NAMES, NAMES, [('even',) if row % 2 == 0 else ('odd',) for row in range(8)])
SPLITS = Splits(
    train=sequences([[0, 1], [1, 2], [3, 4]]),
    validation=ranking_cases([[0, 1], [1, 2], [3, 4]], [2, 3, 5]),
    test=ranking_cases([[0, 1, 2], [1, 2, 3], [3, 4, 5]], [6, 7, 0]),
)
LISTS = np.array([[6, 2, 5, 4], [1, 7, 0, 5], [4, 3, 1, 2]])


@pytest.fixture
def stored(tmp_path):
    scores = np.tile(-np.arange(4.0), (3, 1))
    path = tmp_path / 'test_kept.npz'
    test = SPLITS.test
    PerUserResults(test.user, test.target, {'sasrec': from_ranked_lists(LISTS, scores, test.target)}).save(
        path
    )
    return str(path)


def test_a_floor_is_fitted_on_training_alone():
    retriever = FloorCandidates('popularity').retriever(SPLITS, CATALOGUE)
    found = retriever.retrieve(Requests(SPLITS.test.histories), 2)
    assert set(found.items[:, 0].tolist()) == {1}
    with pytest.raises(ValueError, match="FloorCandidates.floor='bpr' must be one of popularity"):
        FloorCandidates('bpr')


def test_a_floor_of_categories_needs_some():
    found = (
        FloorCandidates('category_markov')
        .retriever(SPLITS, CATALOGUE)
        .retrieve(Requests(sequences([[3]])), 3)
    )
    # Evens follow odds and odds evens in training; of the evens, 0, 2 and 4 were bought alike.
    assert sorted(found.items[0].tolist()) == [0, 2, 4]
    without = dataclasses.replace(CATALOGUE, categories=[()] * 8)
    with pytest.raises(ValueError, match='decayed_markov'):
        FloorCandidates('category_markov').retriever(SPLITS, without)


def test_lists_of_another_run_are_found_by_user_and_lose_what_was_seen(stored):
    retriever = RunCandidates(stored, 'sasrec').retriever(SPLITS, CATALOGUE)
    few = SPLITS.test.select(np.array([2, 0]))
    found = retriever.retrieve(Requests(few.histories, users=few.user), 4)
    np.testing.assert_array_equal(found.items, LISTS[[2, 0]])
    found = retriever.retrieve(Requests(few.histories, users=few.user), 4, remove_seen=True)
    assert found.items.tolist() == [[1, 2, -1, -1], [6, 5, 4, -1]]
    recall = RetrievalRecommender(retriever, depth=2).recommend(SPLITS.test, 2, seen_items='kept')
    assert recall.target_rank.tolist() == [1, 2, 0]


def test_lists_that_do_not_serve_are_told(stored):
    with pytest.raises(ValueError, match="has no lists of 'tiger'; it has sasrec"):
        RunCandidates(stored, 'tiger').retriever(SPLITS, CATALOGUE)
    other = dataclasses.replace(SPLITS, test=dataclasses.replace(SPLITS.test, target=np.array([1, 1, 1])))
    with pytest.raises(ValueError, match='users of another corpus'):
        RunCandidates(stored, 'sasrec').retriever(other, CATALOGUE)
    retriever = RunCandidates(stored, 'sasrec').retriever(SPLITS, CATALOGUE)
    test = SPLITS.test
    with pytest.raises(ValueError, match="'sasrec' lists 4 items a user, but 5 are wanted"):
        retriever.retrieve(Requests(test.histories, users=test.user), 5)
    with pytest.raises(ValueError, match='do not say who asks'):
        retriever.retrieve(Requests(test.histories), 2)
    with pytest.raises(ValueError, match='user 9'):
        retriever.retrieve(Requests(test.histories, users=np.array([0, 1, 9])), 2)
    with pytest.raises(ValueError, match='from outside'):
        retriever.retrieve(Requests(test.histories, users=np.array([0, 1, -1])), 2)
    assert RunCandidates(stored, 'sasrec').identity() != RunCandidates(stored, 'tiger').identity()
