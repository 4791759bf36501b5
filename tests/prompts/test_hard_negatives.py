"""Which items are hard to tell from the right ones: by category, in both readings of it."""

import numpy as np
import pytest

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.prompts.palr.data import Palr
from llmrec_jax.prompts.palr.windows import HardNegatives

GENRES = [
    ('Film', 'War'),
    ('Film', 'War', 'Drama'),
    ('Film', 'Drama'),
    ('Film', 'Comedy'),
    (),
    ('Film', 'War'),
]
# One user, who had items 3 and 4; nobody had two of the others.
TRAIN = Sequences(np.array([3, 4]), np.array([0, 2]))


def pool(alike, targets, own=(), size=6, seed=0):
    negatives = HardNegatives.of(TRAIN, GENRES, alike)
    return negatives.pool(targets, {*targets, *own}, size, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ('target', 'path', 'shared'), [(0, {5}, {1, 5}), (1, set(), {0, 2, 5}), (2, set(), {1}), (3, {4}, {4})]
)
def test_the_same_path_is_the_whole_of_it_and_a_shared_category_is_one_that_not_every_item_has(
    target, path, shared
):
    assert set(pool('path', [target])) == path
    assert set(pool('shared', [target])) == shared


def test_a_pool_has_the_categories_of_all_targets_and_nothing_that_the_user_had():
    assert set(pool('shared', [2, 3], own=(1,))) == {4}
    assert set(pool('shared', [0, 2])) == {1, 5}
    assert len(pool('shared', [1], size=2)) == 2


def test_the_draw_of_the_same_path_is_the_one_that_the_figures_were_measured_with():
    rng = np.random.default_rng(5)
    categories = [('a', str(number)) for number in rng.integers(0, 4, 60)]
    train = Sequences(rng.integers(0, 60, 40), np.arange(0, 41, 8))
    found = HardNegatives.of(train, categories).pool([7, 21], {7, 21, 3}, 12, np.random.default_rng(1))
    assert found == [48, 47, 10, 8, 41, 26, 49, 37, 4, 16, 13, 34]


def test_another_reading_is_refused():
    with pytest.raises(ValueError, match="alike='genre' must be one of path, shared"):
        Palr(alike='genre')
