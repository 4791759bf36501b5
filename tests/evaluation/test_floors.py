"""The floors on four histories that can be counted by hand."""

import numpy as np
import pytest

from llmrec_jax.evaluation.baselines.counted import (
    BACK_OFF,
    BASELINES,
    CategoryMarkov,
    DecayedMarkov,
    Markov,
    fit_baselines,
)
from tests.evaluation.ranking_cases import ranking_cases, sequences

N_ITEMS = 5
TRAIN = sequences([[0, 1, 2], [0, 1], [], [1, 2], [3, 1]])
# Item 0 twice, 1 four times, 2 twice, 3 once, 4 never.
COUNTS = np.array([2.0, 4.0, 2.0, 1.0, 0.0])
# Leaves: {0, 2}, {1}, and the unknown of 3 and 4.
PATHS = [('shop', 'hats'), ('shop', 'bags'), ('shop', 'hats'), (), ()]


def test_popularity_counts_training_events():
    scores = fit_baselines(TRAIN, N_ITEMS)['popularity'].scores(sequences([[4], []]))
    assert scores.tolist() == [COUNTS.tolist()] * 2


def test_item_knn_sums_cosines_over_the_history():
    scores = fit_baselines(TRAIN, N_ITEMS)['item_knn'].scores(sequences([[0, 3]]))
    # Users by item: 0 {a, b}, 1 {a, b, d, e}, 2 {a, d}, 3 {e}.
    from_0 = np.array([0, 2 / np.sqrt(2 * 4), 1 / 2, 0, 0])
    from_3 = np.array([0, 1 / np.sqrt(4), 0, 0, 0])
    np.testing.assert_allclose(scores[0], from_0 + from_3, atol=1e-12)


def test_item_knn_counts_a_user_once_however_often_an_item_was_had():
    once = fit_baselines(sequences([[0, 1], [0]]), 2)['item_knn']
    often = fit_baselines(sequences([[0, 1, 0, 1], [0]]), 2)['item_knn']
    history = sequences([[0]])
    np.testing.assert_allclose(often.scores(history), once.scores(history))


def test_markov_counts_what_followed_the_last_item_and_never_across_histories():
    scores = fit_baselines(TRAIN, N_ITEMS)['markov'].scores(sequences([[0, 1], [2]]))
    back_off = BACK_OFF * COUNTS / 4
    np.testing.assert_allclose(scores[0], np.array([0, 0, 2, 0, 0]) + back_off, atol=1e-12)
    # Nothing followed item 2 within a history, so popularity alone speaks.
    np.testing.assert_allclose(scores[1], back_off, atol=1e-12)


def test_decayed_markov_halves_the_weight_of_each_item_further_back():
    scores = fit_baselines(TRAIN, N_ITEMS)['decayed_markov'].scores(sequences([[3, 0, 1]]))
    expected = np.array([0, 0.25 + 0.5 * 2, 2, 0, 0]) + BACK_OFF * COUNTS / 4
    np.testing.assert_allclose(scores[0], expected, atol=1e-12)


def test_without_decay_weight_markov_is_left():
    rng = np.random.default_rng(0)
    train = sequences([rng.integers(0, 9, size=rng.integers(0, 7)).tolist() for _ in range(30)])
    histories = sequences([rng.integers(0, 9, size=rng.integers(1, 7)).tolist() for _ in range(10)])
    np.testing.assert_array_equal(
        DecayedMarkov(train, 9, decay=0.0).scores(histories), Markov(train, 9).scores(histories)
    )


def test_category_markov_goes_from_leaf_to_leaf_and_then_to_the_popular_of_the_leaf():
    scores = fit_baselines(TRAIN, N_ITEMS, PATHS)['category_markov'].scores(sequences([[3, 1], [4], []]))
    # Transitions hats->bags 2, bags->hats 2, unknown->bags 1; within hats 3/6 each, unknown 2/3 and 1/3.
    within = np.array([3 / 6, 1, 3 / 6, 2 / 3, 1 / 3])
    np.testing.assert_allclose(scores[0], np.array([3, 1, 3, 1, 1]) / 5 * within)
    np.testing.assert_allclose(scores[1], np.array([1, 2, 1, 1, 1]) / 4 * within)
    # Before any item, the smoothed share of all events.
    np.testing.assert_allclose(scores[2], (COUNTS + 1) / (COUNTS + 1).sum())


def test_category_markov_takes_the_whole_path_for_the_leaf():
    same_name = [('hair', 'sets'), ('bath', 'sets')]
    scores = CategoryMarkov(sequences([[0, 0, 0], [1]]), same_name).scores(sequences([[0]]))
    np.testing.assert_allclose(scores, [[3 / 4, 1 / 4]])


def test_category_markov_scores_are_probabilities_of_a_large_catalogue_too():
    rng = np.random.default_rng(0)
    n_items = 200_000
    paths = [(f'leaf {leaf}',) for leaf in rng.integers(0, 3000, n_items).tolist()]
    train = sequences([rng.integers(0, n_items, size=5).tolist() for _ in range(200)])
    scores = CategoryMarkov(train, paths).scores(sequences([[7, 8], []]))
    np.testing.assert_allclose(scores.sum(axis=1), 1.0)
    assert (scores > 0).all()


def test_category_markov_is_left_out_where_no_item_has_a_category():
    known = fit_baselines(TRAIN, N_ITEMS, PATHS)
    assert list(known) == list(BASELINES)
    assert list(fit_baselines(TRAIN, N_ITEMS, [()] * N_ITEMS)) == list(BASELINES[:-1])


@pytest.mark.parametrize('name', BASELINES)
def test_every_floor_ranks_every_case(name):
    found = fit_baselines(TRAIN, N_ITEMS, PATHS)[name].recommend(
        ranking_cases([[0], [2, 1], []], [1, 2, 3]), 3, seen_items='kept'
    )
    assert found.items.shape == (3, 3)
    assert (found.target_rank >= 1).all()


def test_bad_training_histories_are_refused():
    with pytest.raises(ValueError, match='no training events'):
        fit_baselines(sequences([[]]), 3)
    with pytest.raises(ValueError, match='item 7, but the catalogue has 3'):
        fit_baselines(sequences([[1, 7]]), 3)
    with pytest.raises(ValueError, match=r'decay is 1\.5'):
        DecayedMarkov(TRAIN, N_ITEMS, decay=1.5)
