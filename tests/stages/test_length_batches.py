import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from llmrec_jax.stages.length_batches import length_batches


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.integers(1, 8))
def test_every_history_comes_once_in_the_least_width_that_holds_its_batch(lengths, batch_size):
    lengths, widths = np.asarray(lengths), (20, 5, 10)
    batches = list(length_batches(lengths, batch_size, widths))
    assert sorted(np.concatenate([rows for rows, _, _ in batches])) == list(range(len(lengths)))
    for rows, filled, width in batches:
        assert len(filled) == batch_size and set(filled) == set(rows)
        assert width == min(allowed for allowed in widths if allowed >= lengths[rows].max())
    assert [width for _, _, width in batches] == sorted(width for _, _, width in batches)
