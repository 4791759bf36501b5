"""Negatives are what they should be, and nothing else."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings

from llmrec_jax.models.sequential.negatives import draw_outside, draw_shared, outside

N_ITEMS, ROWS, WIDTH, DRAWS = 9, 4, 6, 400


@functools.cache
def drawing():
    return jax.jit(lambda key, sequences: draw_outside(key, outside(sequences), N_ITEMS, (ROWS, DRAWS)))


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_every_other_item_is_drawn_equally_often_and_none_of_the_sequence(seed):
    rng = np.random.default_rng(seed)
    sequences = rng.integers(1, N_ITEMS + 1, (ROWS, WIDTH))
    sequences[np.arange(WIDTH)[None, :] < rng.integers(0, WIDTH + 1, ROWS)[:, None]] = 0
    drawn = np.asarray(drawing()(jax.random.key(seed), sequences))
    for row in range(ROWS):
        others = set(range(N_ITEMS)) - set((sequences[row][sequences[row] > 0] - 1).tolist())
        counts = np.bincount(drawn[row], minlength=N_ITEMS)
        assert set(np.flatnonzero(counts).tolist()) == others
        expected = DRAWS / len(others)
        assert abs(counts[sorted(others)] - expected).max() < 6 * np.sqrt(expected)


def test_without_a_sequence_all_items_are_drawn():
    drawn = draw_outside(jax.random.key(0), None, 5, (1, 200))
    assert set(np.asarray(drawn)[0].tolist()) == set(range(5))


def test_shared_draws_follow_their_probabilities():
    probabilities = jnp.array([0.5, 0.0, 0.2, 0.3])
    drawn = np.asarray(draw_shared(jax.random.key(0), probabilities, 4000))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, probabilities, atol=0.03)
