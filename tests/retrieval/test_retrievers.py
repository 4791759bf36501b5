"""Every retriever by the same law: k candidates a request, best first, the seen ones gone where asked."""

import numpy as np
import pytest

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.evaluation.baselines.counted import DecayedMarkov
from llmrec_jax.evaluation.retrieval_recommender import RecommenderRetriever
from llmrec_jax.retrieval.bm25 import BM25, HistoryAsText
from llmrec_jax.retrieval.exact import ExactSearch
from llmrec_jax.retrieval.retriever import ABSENT, Requests, Retriever
from llmrec_jax.retrieval.scann_index import ScannIndex
from llmrec_jax.retrieval.vector_retriever import HistoryVectors, TextVectors, VectorRetriever

N_ITEMS = 40
VECTORS = np.random.default_rng(0).normal(size=(N_ITEMS, 8)).astype(np.float32)
TEXTS = [f'thing number {item} of kind {item % 4}' for item in range(N_ITEMS)]
HISTORIES = Sequences(np.array([3, 7, 7, 12, 0, 39, 3]), np.array([0, 3, 4, 7]))
REQUESTS = Requests(HISTORIES, users=np.array([5, 6, 7]))
RETRIEVERS = {
    'exact': lambda: VectorRetriever(ExactSearch(VECTORS), HistoryVectors(VECTORS)),
    'scann': lambda: VectorRetriever(ScannIndex.build(VECTORS), HistoryVectors(VECTORS, 'history_mean')),
    'bm25': lambda: HistoryAsText(BM25(TEXTS), TEXTS, last_items=2),
    'recommender': lambda: RecommenderRetriever(DecayedMarkov(HISTORIES, N_ITEMS), N_ITEMS),
}


@pytest.fixture(params=RETRIEVERS)
def retriever(request):
    return RETRIEVERS[request.param]()


def test_candidates_come_best_first_and_once(retriever):
    assert isinstance(retriever, Retriever) and retriever.n_items == N_ITEMS
    found = retriever.retrieve(REQUESTS, 20)
    assert found.items.shape == found.scores.shape == (3, 20)
    assert (found.items != ABSENT).all()
    assert (found.scores[:, 1:] <= found.scores[:, :-1]).all()
    assert all(len(set(row)) == 20 for row in found.items.tolist())


def test_removing_what_was_seen_removes_that_alone(retriever):
    everything = retriever.retrieve(REQUESTS, N_ITEMS)
    found = retriever.retrieve(REQUESTS, 20, remove_seen=True)
    for row, items in enumerate(everything.items):
        unseen = [item for item in items.tolist() if item not in HISTORIES[row]]
        assert found.items[row].tolist() == unseen[:20]


def test_where_too_little_is_left_the_last_slots_are_absent(retriever):
    found = retriever.retrieve(REQUESTS, N_ITEMS, remove_seen=True)
    for row, items in enumerate(found.items):
        seen = len(set(HISTORIES[row].tolist()))
        assert (items[-seen:] == ABSENT).all() and (items[:-seen] != ABSENT).all()
        assert np.isneginf(found.scores[row, -seen:]).all()


def test_a_request_gets_the_same_alone_and_in_company(retriever):
    together = retriever.retrieve(REQUESTS, 10)
    for row in range(3):
        alone = retriever.retrieve(next(iter(list(REQUESTS.batches(1))[row : row + 1])), 10)
        assert alone.items[0].tolist() == together.items[row].tolist()


def test_nobody_gets_nothing(retriever):
    nobody = Requests(Sequences(np.zeros(0, int), np.zeros(1, int)))
    assert retriever.retrieve(nobody, 5).items.shape == (0, 5)


def test_what_cannot_be_found_is_refused(retriever):
    for k in (0, N_ITEMS + 1):
        with pytest.raises(ValueError, match=f'k={k} .*{N_ITEMS}'):
            retriever.retrieve(REQUESTS, k)
    with pytest.raises(ValueError, match='goes by histories, and these requests have texts alone'):
        retriever.retrieve(Requests(texts=['anything']), 5)


def test_texts_are_answered_by_text_retrievers_alone():
    ask = Requests(texts=['Number 12, of the fourth kind'])
    assert BM25(TEXTS).retrieve(ask, 1).items.tolist() == [[12]]
    encoder = TextVectors(lambda texts: np.stack([VECTORS[len(text)] for text in texts]))
    by_vector = VectorRetriever(ExactSearch(VECTORS / np.linalg.norm(VECTORS, axis=1)[:, None]), encoder)
    assert by_vector.retrieve(ask, 1).items.tolist() == [[len(ask.texts[0])]]
    with pytest.raises(ValueError, match='removing what was seen goes by histories'):
        by_vector.retrieve(ask, 1, remove_seen=True)
    with pytest.raises(ValueError, match='BM25.*HistoryAsText'):
        BM25(TEXTS).retrieve(REQUESTS, 1)


def test_requests_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match='histories or texts'):
        Requests(users=np.arange(2))
    with pytest.raises(ValueError, match=r"'histories': 3, 'texts': 1"):
        Requests(HISTORIES, ['one'])


def test_histories_without_text_are_refused():
    ask = HistoryAsText(BM25(TEXTS), TEXTS[:20])
    with pytest.raises(ValueError, match='row 2.* 20 '):
        HistoryAsText(BM25(TEXTS), TEXTS[:20], last_items=3).retrieve(REQUESTS, 1)
    with pytest.raises(ValueError, match='row 1'):
        ask.retrieve(Requests(Sequences(np.array([3]), np.array([0, 1, 1]))), 1)
    with pytest.raises(ValueError, match='last_items=0'):
        HistoryAsText(BM25(TEXTS), TEXTS, last_items=0)
    with pytest.raises(ValueError, match="HistoryVectors.pooling.*'median'"):
        HistoryVectors(VECTORS, 'median')


def test_a_recommender_that_lists_too_few_is_refused():
    class Short:
        def recommend(self, cases, k, *, seen_items):
            return DecayedMarkov(HISTORIES, N_ITEMS).recommend(cases, 3, seen_items=seen_items)

    with pytest.raises(ValueError, match='k=5.* 3'):
        RecommenderRetriever(Short(), N_ITEMS).retrieve(REQUESTS, 5)
