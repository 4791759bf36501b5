"""BM25 by its formula, word for word."""

import math
from collections import Counter

import numpy as np
import pytest

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.retrieval.bm25 import BM25, Bm25Settings, words
from llmrec_jax.retrieval.retriever import Requests

TEXTS = ['red nail polish', 'Red RED lipstick for dry lips', 'nail file', 'crème de jour 50ml', '']


def by_hand(query, texts, k1=1.5, b=0.75):
    documents = [words(text) for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        counts, score = Counter(document), 0.0
        for word in words(query):
            held = sum(word in other for other in documents)
            if held:
                idf = math.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
                tf = counts[word]
                score += idf * tf / (tf + k1 * (1 - b + b * len(document) / mean)) if tf else 0.0
        scores.append(score)
    return scores


@pytest.mark.parametrize('k1, b', [(1.5, 0.75), (0.0, 0.0), (2.0, 1.0)])
def test_scores_equal_the_formula(k1, b):
    asked = ['red nail', 'red red lips', 'unheard of', 'CREME 50ml', '']
    found = BM25(TEXTS, settings=Bm25Settings(k1, b)).scores(asked)
    np.testing.assert_allclose(found, [by_hand(query, TEXTS, k1, b) for query in asked], rtol=1e-12)


def test_only_items_that_share_a_word_are_found():
    found = BM25(TEXTS).retrieve(Requests(texts=['nail', 'creme', 'nothing of these']), 3)
    assert found.items.tolist() == [[2, 0, -1], [3, -1, -1], [-1, -1, -1]]
    assert np.isneginf(found.scores[found.items == -1]).all()


def test_equal_scores_go_by_item_and_the_seen_are_left_out():
    bm25 = BM25(['same words'] * 4)
    assert bm25.retrieve(Requests(texts=['words']), 4).items.tolist() == [[0, 1, 2, 3]]
    seen = Requests(Sequences(np.array([1, 0]), np.array([0, 2])), ['words'])
    assert bm25.retrieve(seen, 4, remove_seen=True).items.tolist() == [[2, 3, -1, -1]]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match='none of the 2 item texts holds a word'):
        BM25(['', ' .'])
    with pytest.raises(ValueError, match='k1=-1.0'):
        Bm25Settings(k1=-1.0)
    with pytest.raises(ValueError, match=r'b=1\.5'):
        Bm25Settings(b=1.5)
