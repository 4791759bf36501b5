import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.evaluation.baselines.rating_means import (
    Ratings,
    least_squares_means,
    rating_baselines,
    user_item_means,
)


def _ratings(triples, users=3, items=4):
    user, item, stars = (np.asarray(column) for column in zip(*triples))
    return Ratings(user, item, stars.astype(np.float64), users, items)


TRIPLES = [(0, 0, 5), (0, 1, 4), (1, 0, 3), (1, 1, 1), (1, 2, 2)]


def test_means_equal_those_worked_by_hand():
    floors = rating_baselines(_ratings(TRIPLES))
    user, item = np.array([0, 1, 2, -1]), np.array([0, 2, 3, -1])
    assert floors['global_mean'].stars(user, item).tolist() == [3, 3, 3, 3]
    np.testing.assert_allclose(floors['user_mean'].stars(user, item), [4.5, 2, 3, 3])
    np.testing.assert_allclose(floors['item_mean'].stars(user, item), [4, 2, 3, 3])
    # Of user 2, item 3 and what is unknown, no rating says anything.
    both = floors['user_item_mean']
    np.testing.assert_allclose(both.stars(user, item)[2:], both.mean)


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(1, 5)), min_size=1, max_size=15),
    st.sampled_from([0.5, 2.0, 20.0]),
    st.sampled_from([0.5, 2.0, 20.0]),
)
def test_the_turns_end_at_the_least_squares(triples, for_users, for_items):
    train = _ratings(triples)
    rows = len(triples)
    design = np.concatenate([np.ones((rows, 1)), np.eye(3)[train.user], np.eye(4)[train.item]], axis=1)
    penalty = np.diag([0.0] + [for_users] * 3 + [for_items] * 4)
    expected = np.linalg.solve(design.T @ design + penalty, design.T @ train.stars)
    found = least_squares_means(train, for_users, for_items)
    np.testing.assert_allclose(
        np.concatenate([[found.mean], found.of_user, found.of_item]), expected, atol=1e-4
    )


def _planted(seed, users=200, items=60, count=3000, spread=0.5, noise=0.6):
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, users, count), rng.integers(0, items, count)
    of_user, of_item = rng.normal(0, spread, users), rng.normal(0, spread, items)
    stars = 3.5 + of_user[user] + of_item[item] + rng.normal(0, noise, count)
    return [
        Ratings(user[rows], item[rows], stars[rows], users, items)
        for rows in np.split(np.arange(count), [2400])
    ]


def _error(floor, test):
    return np.sqrt(np.square(floor.stars(test.user, test.item) - test.stars).mean())


def test_where_users_and_items_lean_the_mean_of_both_finds_it():
    train, test = _planted(0)
    errors = {name: _error(floor, test) for name, floor in rating_baselines(train).items()}
    assert errors['user_item_mean'] < min(errors['item_mean'], errors['user_mean']) < errors['global_mean']
    # The noise alone is 0.6; twelve ratings a user leave some doubt about each.
    assert errors['user_item_mean'] < 0.68


def test_where_nobody_leans_the_strength_that_is_chosen_leaves_the_global_mean():
    train, test = _planted(1, spread=0.0)
    errors = {name: _error(floor, test) for name, floor in rating_baselines(train).items()}
    assert errors['user_item_mean'] < errors['global_mean'] + 0.005
    assert errors['user_mean'] > errors['global_mean'] + 0.01


def test_a_single_rating_is_its_own_mean():
    one = user_item_means(_ratings([(0, 0, 4)]))
    assert one.stars(np.array([0, 1]), np.array([0, 3])) == pytest.approx([4.0, 4.0])


@pytest.mark.parametrize(
    ('triples', 'message'),
    [
        ([(3, 0, 1)], 'name user 3, but there are 3'),
        ([(0, -1, 1)], 'name item -1, but there are 4'),
        ([(0, 0, np.nan)], 'training rating 0 is not finite'),
    ],
)
def test_what_cannot_be_counted_is_refused(triples, message):
    with pytest.raises(ValueError, match=message):
        _ratings(triples)


def test_no_ratings_at_all_are_refused():
    empty = np.zeros(0, np.int64)
    with pytest.raises(ValueError, match='no training ratings'):
        Ratings(empty, empty, np.zeros(0), 1, 1)
