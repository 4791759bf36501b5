import numpy as np
import pytest

from llmrec_jax.stages.prompt_evaluation.eval_batches import EvalBatches, drawn_rows
from llmrec_jax.training.columns import ColumnError, ColumnStore

LENGTHS = [5, 2, 7, 2, 3, 7, 1]


def batches(rows, **settings):
    store = ColumnStore.in_memory({'inputs': [list(range(1, length + 1)) for length in LENGTHS]})
    return EvalBatches(store, np.asarray(rows), batch_size=2, input_length=8, **settings)


def test_every_example_is_asked_once_with_the_short_ones_in_short_batches():
    asked = list(batches(range(7), length_buckets=(4,)).after(0))
    assert sorted(row for one in asked for row in one.rows) == list(range(7))
    assert [one.inputs.shape for one in asked] == [(2, 4), (2, 4), (2, 8), (2, 8)]
    assert [one.rows.tolist() for one in asked] == [[6, 1], [3, 4], [0, 2], [5]]
    assert asked[-1].filled.tolist() == [5, 5]
    assert (asked[2].inputs[1] > 0).sum() == LENGTHS[2]


def test_batches_after_an_interruption_are_those_that_were_left():
    whole, rest = batches([5, 0, 3, 2]), batches([2, 3, 0, 5])
    assert len(whole) == 2
    (last,) = rest.after(1)
    assert last.rows.tolist() == list(whole.after(0))[1].rows.tolist()


def test_an_input_that_is_too_long_is_named():
    store = ColumnStore.in_memory({'inputs': [[1], [1, 2, 3]]})
    with pytest.raises(ColumnError, match="row 1 of feature 'inputs' has 3 tokens"):
        list(EvalBatches(store, np.arange(2), batch_size=1, input_length=2).after(0))


def test_drawn_rows_are_the_same_for_all_and_keep_groups_together():
    assert drawn_rows(6, None, seed=0).tolist() == list(range(6))
    assert drawn_rows(6, 9, seed=0).tolist() == list(range(6))
    drawn = drawn_rows(1000, 10, seed=3)
    assert len(set(drawn.tolist())) == 10 and drawn.tolist() == sorted(drawn.tolist())
    assert drawn.tolist() == drawn_rows(1000, 10, seed=3).tolist() != drawn_rows(1000, 10, seed=4).tolist()
    grouped = drawn_rows(40, 2, seed=0, group=10).reshape(2, 10)
    assert (grouped == grouped[:, :1] + np.arange(10)).all() and (grouped[:, 0] % 10 == 0).all()


def test_rows_that_are_no_whole_groups_are_an_error():
    with pytest.raises(ValueError, match='7 rows are no whole groups of 3'):
        drawn_rows(7, None, seed=0, group=3)
