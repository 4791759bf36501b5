import itertools

import numpy as np
import pytest

from llmrec_jax.evaluation import catalogue_metrics
from llmrec_jax.evaluation.catalogue_metrics import Catalogue

LISTS = np.array([[0, 1, -1], [1, 2, 3], [-1, -1, -1]])


def test_coverage_counts_an_item_once_and_no_absent_slot():
    assert catalogue_metrics.coverage(LISTS, 8) == 4 / 8


def test_popularity_percentile_counts_equals_half():
    counts = np.array([5.0, 1.0, 1.0, 0.0])
    # Percentiles: item 0 (3 + .5)/4, items 1 and 2 (1 + 1)/4, item 3 .5/4.
    assert catalogue_metrics.popularity_percentile(LISTS, counts) == pytest.approx(
        (3.5 + 2 + 2 + 2 + 0.5) / 4 / 5
    )
    everything = np.arange(4)[None, :]
    assert catalogue_metrics.popularity_percentile(everything, counts) == pytest.approx(0.5)


def test_exposure_gini_spans_from_equal_to_one_winner():
    assert catalogue_metrics.exposure_gini(np.array([[0, 1], [2, 3]]), 4) == 0
    assert catalogue_metrics.exposure_gini(np.array([[2], [2]]), 4) == pytest.approx(3 / 4)
    exposure = np.array([1, 2, 1, 1, 0])
    by_definition = np.abs(exposure[:, None] - exposure[None, :]).sum() / (2 * 5 * exposure.sum())
    assert catalogue_metrics.exposure_gini(LISTS, 5) == pytest.approx(by_definition)


def test_distinct_categories_counts_kinds_within_each_list():
    categories = [('a',), ('a', 'b'), ('a', 'b'), ('c',)]
    assert catalogue_metrics.distinct_categories(LISTS, categories) == pytest.approx((2 + 2 + 0) / 3)


def test_intra_list_distance_is_the_mean_over_pairs():
    vectors = np.random.default_rng(0).normal(size=(4, 3))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def of_list(items):
        return np.mean([1 - unit[i] @ unit[j] for i, j in itertools.combinations(items, 2)])

    expected = (of_list([0, 1]) + of_list([1, 2, 3])) / 2
    assert catalogue_metrics.intra_list_distance(LISTS, vectors) == pytest.approx(expected)


def test_lists_without_items_give_zeros_and_no_warning():
    nothing = np.full((2, 3), -1)
    catalogue = Catalogue(np.ones(4), [()] * 4, np.ones((4, 2)))
    with np.errstate(all='raise'):
        assert set(catalogue.metrics(nothing, 3).values()) == {0.0}


def test_only_what_is_known_is_reported():
    assert set(Catalogue(np.ones(4)).metrics(LISTS, 3)) == {
        'coverage@3',
        'popularity_percentile@3',
        'exposure_gini@3',
    }
    with pytest.raises(ValueError, match=r'Catalogue\.categories has 1 rows for 4 items'):
        Catalogue(np.ones(4), categories=[()])
