"""Exact search: equal to a full stable sort, whatever the block sizes."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from llmrec_jax.retrieval.exact import ExactSearch, ExactSettings
from llmrec_jax.retrieval.retriever import VectorIndex


def sorted_by_score(vectors, queries, k):
    scores = queries @ vectors.T
    order = np.argsort(-scores, axis=1, kind='stable')[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**16),
    n_items=st.integers(1, 60),
    n_queries=st.sampled_from([0, 1, 5, 9]),
    block_items=st.sampled_from([1, 7, 64]),
    query_batch=st.sampled_from([1, 4, 256]),
    data=st.data(),
)
def test_equals_a_full_sort_with_ties_to_the_lowest_item(
    seed, n_items, n_queries, block_items, query_batch, data
):
    k = data.draw(st.sampled_from([1, (n_items + 1) // 2, n_items]))
    rng = np.random.default_rng(seed)
    # Small integers: dot products are exact and ties are many.
    vectors = rng.integers(-2, 3, (n_items, 3)).astype(np.float32)
    queries = rng.integers(-2, 3, (n_queries, 3)).astype(np.float32)
    search = ExactSearch(vectors, settings=ExactSettings(block_items, query_batch))
    found = search.search(queries, k)
    items, scores = sorted_by_score(vectors, queries, k)
    np.testing.assert_array_equal(found.items, items)
    np.testing.assert_array_equal(found.scores, scores)


def test_blocks_find_what_one_block_finds():
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(size=(1000, 16)), rng.normal(size=(30, 16))
    whole = ExactSearch(vectors).search(queries, 20)
    blocked = ExactSearch(vectors, settings=ExactSettings(block_items=130, query_batch=8)).search(queries, 20)
    np.testing.assert_array_equal(whole.items, blocked.items)
    np.testing.assert_allclose(whole.scores, blocked.scores, rtol=1e-6)


def test_a_part_of_the_catalogue_answers_in_item_indices():
    vectors = np.eye(3, dtype=np.float32)
    search = ExactSearch(vectors, items=np.array([40, 7, 12]))
    assert isinstance(search, VectorIndex)
    assert len(search) == 3
    found = search.search(np.array([[0.5, 0.0, 1.0], [1.0, 1.0, 0.0]]), 3)
    np.testing.assert_array_equal(found.items, [[12, 40, 7], [7, 40, 12]])


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 1e30])
def test_values_that_no_dot_product_can_hold_are_refused(value):
    vectors = np.ones((4, 2))
    vectors[2, 1] = value
    with pytest.raises(ValueError, match=r'1 of 4 item vectors.*row 2'):
        ExactSearch(vectors)
    with pytest.raises(ValueError, match=r'1 of 4 queries.*row 2'):
        ExactSearch(np.ones((4, 2))).search(vectors, 1)


@pytest.mark.parametrize('k', [0, -1, 4])
def test_k_outside_the_index_is_refused(k):
    with pytest.raises(ValueError, match=f'k={k} .*3 items'):
        ExactSearch(np.eye(3)).search(np.eye(3), k)


def test_other_bad_input_is_refused():
    with pytest.raises(ValueError, match='queries.* 2 .* 3'):
        ExactSearch(np.eye(3)).search(np.ones((1, 2)), 1)
    with pytest.raises(ValueError, match='empty'):
        ExactSearch(np.ones((0, 3)))
    with pytest.raises(ValueError, match='item 5 .* 0 and 2'):
        ExactSearch(np.eye(3), items=np.array([5, 1, 5]))
    with pytest.raises(ValueError, match='item -1.*row 1'):
        ExactSearch(np.eye(3), items=np.array([5, -1, 2]))
    with pytest.raises(ValueError, match='block_items=0'):
        ExactSettings(block_items=0)
