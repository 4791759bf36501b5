"""Queries made of a history's item vectors."""

import numpy as np
import pytest

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.retrieval.vector_retriever import last_item_queries, mean_queries

VECTORS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
HISTORIES = Sequences(np.array([0, 1, 1, 2, 0, 2]), np.array([0, 3, 4, 6]))


def test_the_last_item_speaks_for_the_history():
    np.testing.assert_array_equal(last_item_queries(VECTORS, HISTORIES), VECTORS[[1, 2, 2]])


def test_the_mean_has_length_one_and_counts_repeats():
    expected = [[1 / np.sqrt(5), 2 / np.sqrt(5)], [-1, 0], [0, 0]]
    np.testing.assert_allclose(mean_queries(VECTORS, HISTORIES), expected, atol=1e-7)


@pytest.mark.parametrize('make', [last_item_queries, mean_queries])
def test_histories_that_no_vector_answers_are_refused(make):
    with pytest.raises(ValueError, match=r'1 histories are empty.*row 1'):
        make(VECTORS, Sequences(np.array([0, 1]), np.array([0, 1, 1, 2])))
    for unknown in (3, -1):
        with pytest.raises(ValueError, match=f'history 1 names item {unknown}, but there are 3'):
            make(VECTORS, Sequences(np.array([0, 1, unknown]), np.array([0, 1, 3])))
