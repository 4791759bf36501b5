"""Dropout by few bits: how much is kept, what stays of the mean, and that a mask is its key's alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.models.dropout import DIGITS, Dropout, kept, kept_of

ONES = jnp.ones((64, 32, 50))


def dropped(rate, key=0, inputs=ONES):
    return Dropout(rate).apply({}, inputs, deterministic=False, rngs={'dropout': jax.random.key(key)})


@pytest.mark.parametrize('rate', [0.5, 0.2, 0.9, 1 / 2**DIGITS])
def test_elements_are_dropped_at_the_rate_and_the_mean_is_kept(rate):
    found = np.asarray(dropped(rate))
    dropped_share = (found == 0).mean()
    # Five standard deviations of a share of so many draws, and what rounding makes of the rate.
    tolerance = 5 * np.sqrt(rate * (1 - rate) / found.size) + 0.5 / 2**DIGITS
    assert abs(dropped_share - rate) < tolerance
    np.testing.assert_allclose(found[found > 0], 2**DIGITS / kept_of(rate), rtol=1e-6)


def test_elements_are_dropped_independently_of_their_neighbours():
    mask = np.asarray(kept(jax.random.key(3), kept_of(0.3), (512, 128))) - 0.7
    for axis, lags in ((0, (1, 2)), (1, (1, 31, 32, 64))):
        for lag in lags:
            both = np.take(mask, range(lag, mask.shape[axis]), axis) * np.take(
                mask, range(mask.shape[axis] - lag), axis
            )
            assert abs(both.mean()) < 5 * 0.21 / np.sqrt(both.size)


def test_masks_follow_their_keys_and_none_is_drawn_where_nothing_is_dropped():
    np.testing.assert_array_equal(dropped(0.5), dropped(0.5))
    assert (dropped(0.5) != dropped(0.5, key=1)).any()
    assert Dropout(0.5).apply({}, ONES, deterministic=True) is ONES
    assert Dropout(0.0).apply({}, ONES, deterministic=False) is ONES
    assert np.isfinite(dropped(1e-9)).all() and np.isfinite(dropped(1 - 1e-9)).all()


def test_the_gradient_is_that_of_the_kept_elements():
    gradient = jax.grad(lambda inputs: dropped(0.25, inputs=inputs).sum())(ONES)
    np.testing.assert_array_equal(gradient, dropped(0.25))


def test_a_mask_is_the_same_where_its_rows_lie_over_devices():
    whole = kept(jax.random.key(0), kept_of(0.2), (16, 3, 40))
    mesh = jax.make_mesh((8,), ('data',))
    rows = NamedSharding(mesh, PartitionSpec('data'))
    shared = jax.jit(lambda: kept(jax.random.key(0), kept_of(0.2), (16, 3, 40)), out_shardings=rows)()
    assert shared.sharding.is_equivalent_to(rows, 3)
    np.testing.assert_array_equal(shared, whole)
