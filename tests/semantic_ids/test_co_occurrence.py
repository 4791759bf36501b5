"""Item vectors by what items occur with: counts, information, and what is near in the end."""

import numpy as np
import pytest

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.semantic_ids.co_occurrence import CoOccurrence, joined, near_counts, positive_pmi


def sequences(*rows):
    return Sequences(
        np.array([item for row in rows for item in row]), np.cumsum([0, *(len(row) for row in rows)])
    )


def test_near_items_count_by_the_reciprocal_of_their_distance():
    counts = near_counts(sequences([0, 1, 2], [2, 2, 3]), 5, window=2).toarray()
    expected = np.zeros((5, 5))
    # Item 2 stands twice before item 3, at distances 1 and 2, and is not near itself.
    for one, other, weight in ((0, 1, 1.0), (1, 2, 1.0), (0, 2, 0.5), (2, 3, 1.5)):
        expected[one, other] = expected[other, one] = weight
    np.testing.assert_allclose(counts, expected)
    assert near_counts(sequences([0, 1, 2]), 3, window=1)[0, 2] == 0


def test_information_is_positive_and_of_chance_nothing():
    counts = near_counts(sequences([0, 1], [0, 1], [2, 3], [0, 3]), 4, window=1)
    information = positive_pmi(counts).toarray()
    # Items 0 and 1 were near twice of eight sides, where their sides 3 and 2 make 0.75 a side by chance.
    assert information[0, 1] == pytest.approx(np.log(2 * 8 / (3 * 2)))
    assert information[0, 3] == pytest.approx(np.log(1 * 8 / (3 * 2)))
    assert (information >= 0).all() and information[1, 2] == 0


def test_items_that_occur_together_are_near():
    rng = np.random.default_rng(0)
    rows = [rng.permutation(6) + 6 * (user % 2) for user in range(40)]
    vectors = CoOccurrence(dim=2).vectors(sequences(*rows), 13)
    similar = vectors @ vectors.T
    assert vectors.shape == (13, 2) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.diag(similar)[:12], 1, rtol=1e-5)
    assert similar[:6, :6].min() > similar[:6, 6:12].max() + 0.3
    # An item without events is nowhere.
    assert not vectors[12].any()


def test_a_catalogue_too_small_for_the_width_has_what_there_is():
    assert CoOccurrence(dim=128).vectors(sequences([0, 1, 2]), 3).shape == (3, 2)
    assert not CoOccurrence().vectors(sequences([0]), 1).any()


def test_sources_are_joined_by_their_weights():
    text, near = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[2.0], [5.0]])
    np.testing.assert_allclose(joined((0.5, text), (2.0, near)), [[0.3, 0.4, 2.0], [0, 0, 2.0]], rtol=1e-6)
    np.testing.assert_allclose(joined((0.0, text), (1.0, near)), [[1.0], [1.0]])
    with pytest.raises(ValueError, match='weight 0'):
        joined((0.0, text))
    with pytest.raises(ValueError, match='different corpora'):
        joined((1.0, text), (1.0, near[:1]))
