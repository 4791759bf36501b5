import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_jax.training.early_stopping import BestMetric, EarlyStopping

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def rows(values, name='recall@10'):
    return [{'step': step, name: value} for step, value in enumerate(values, start=1)]


@given(values=VALUES)
def test_the_best_row_is_the_first_of_the_largest(values):
    assert BestMetric().best(rows(values))['step'] == values.index(max(values)) + 1
    assert BestMetric('loss', 'min').best(rows(values, 'loss'))['step'] == values.index(min(values)) + 1


def test_nothing_is_best_of_nothing_and_an_undefined_value_never_is():
    assert BestMetric().best([]) is None
    assert BestMetric().best(rows([None, 0.1, math.nan]))['step'] == 2


@pytest.mark.parametrize(
    ('values', 'patience', 'min_delta', 'stops'),
    [
        ([0.1, 0.2, 0.3], 1, 0.0, False),
        ([0.1, 0.1], 1, 0.0, True),
        ([0.3, 0.2, 0.1], 3, 0.0, False),
        ([0.3, 0.2, 0.1, 0.2], 3, 0.0, True),
        ([0.3, 0.2, 0.4, 0.1], 2, 0.0, False),
        ([0.30, 0.31, 0.32], 2, 0.05, True),
        ([0.30, 0.31, 0.36], 2, 0.05, False),
        ([], 1, 0.0, False),
        ([None, None], 2, 0.0, True),
    ],
)
def test_patience_counts_validations_without_improvement(values, patience, min_delta, stops):
    assert EarlyStopping(patience, min_delta).stops(BestMetric(), rows(values)) is stops


@given(values=VALUES, patience=st.integers(1, 4))
def test_smaller_is_better_mirrors_larger_is_better(values, patience):
    stopping = EarlyStopping(patience)
    negative = [-value for value in values]
    assert stopping.stops(BestMetric(), rows(values)) == stopping.stops(
        BestMetric('loss', 'min'), rows(negative, 'loss')
    )


def test_a_metric_that_validation_does_not_give_is_an_error_that_lists_those_it_does():
    with pytest.raises(ValueError, match=r"no metric 'recall@10' .* it gives ndcg@5, mrr"):
        BestMetric().value({'step': 1, 'ndcg@5': 0.1, 'mrr': 0.2})


def test_settings_that_mean_nothing_are_errors():
    with pytest.raises(ValueError, match="mode='best' must be 'max' or 'min'"):
        BestMetric('loss', 'best')
    with pytest.raises(ValueError, match='patience=0'):
        EarlyStopping(0)
