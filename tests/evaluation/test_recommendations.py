import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from llmrec_jax.evaluation.recommendations import Recommendations, concatenate, from_dense, from_ranked_lists

# Few distinct values, so that ties and removed items are everywhere.
TIED_SCORES = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]),
)


def brute_force_rank(scores, target):
    if scores[target] == -np.inf:
        return 0
    return 1 + sum(1 for item, score in enumerate(scores) if item != target and score >= scores[target])


def brute_force_list(scores, k):
    kept = [item for item in range(len(scores)) if scores[item] > -np.inf]
    best = sorted(kept, key=lambda item: (-scores[item], item))[:k]
    return best + [-1] * (min(k, len(scores)) - len(best))


@hypothesis.given(TIED_SCORES, st.integers(1, 15), st.data())
@hypothesis.settings(deadline=None, max_examples=200)
def test_dense_scores_rank_as_counting_and_sorting_do(scores, k, data):
    targets = np.array([data.draw(st.integers(0, scores.shape[1] - 1)) for _ in scores])
    found = from_dense(scores, targets, k)
    assert found.target_rank.tolist() == [brute_force_rank(row, t) for row, t in zip(scores, targets)]
    assert found.items.tolist() == [brute_force_list(row, k) for row in scores]
    assert ((found.scores == -np.inf) == (found.items == -1)).all()


@hypothesis.given(TIED_SCORES, st.data())
@hypothesis.settings(deadline=None, max_examples=100)
def test_a_ranked_list_of_everything_gives_the_ranks_of_the_dense_scores(scores, data):
    targets = np.array([data.draw(st.integers(0, scores.shape[1] - 1)) for _ in scores])
    dense = from_dense(scores, targets, scores.shape[1])
    listed = from_ranked_lists(dense.items, dense.scores, targets)
    assert listed.target_rank.tolist() == dense.target_rank.tolist()


def test_a_target_beyond_the_list_is_not_ranked():
    found = from_ranked_lists(
        np.array([[4, 2], [4, -1]]), np.array([[1.0, 0.5], [1.0, -np.inf]]), np.array([3, 3])
    )
    assert found.target_rank.tolist() == [0, 0]


def test_an_empty_list_ranks_nothing():
    found = from_ranked_lists(np.full((1, 2), -1), np.full((1, 2), -np.inf), np.array([0]))
    assert found.target_rank.tolist() == [0]


def test_batches_join_in_order():
    one = from_dense(np.array([[1.0, 2.0]]), np.array([0]), 2)
    two = from_dense(np.array([[3.0, 2.0]]), np.array([0]), 2)
    joined = concatenate([one, two])
    assert joined.items.tolist() == [[1, 0], [0, 1]]
    assert joined.target_rank.tolist() == [2, 1]
    assert joined.top(1).items.tolist() == [[1], [0]]


def test_nan_is_an_error_and_never_a_rank():
    with pytest.raises(ValueError, match='item 1 is NaN in row 0'):
        from_dense(np.array([[0.0, np.nan]]), np.array([0]), 1)
    with pytest.raises(ValueError, match='row 0 is NaN'):
        from_ranked_lists(np.array([[0, 1]]), np.array([[np.nan, 0.0]]), np.array([0]))


@pytest.mark.parametrize(
    ('items', 'scores', 'message'),
    [
        ([[1, 2]], [[0.0, 1.0]], 'row 0: scores must descend'),
        ([[1, 1]], [[1.0, 0.0]], 'row 0: an item is listed twice'),
        ([[1, -1]], [[1.0, 0.0]], 'row 0: an absent slot'),
        ([[1, 2]], [[1.0, -np.inf]], 'row 0: an absent slot'),
        ([[-1, 2]], [[-np.inf, 1.0]], 'row 0: scores must descend'),
    ],
)
def test_malformed_lists_are_refused(items, scores, message):
    with pytest.raises(ValueError, match=message):
        Recommendations(np.array(items), np.array(scores), np.array([1]))
