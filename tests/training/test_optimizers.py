import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.training.optimizers import Adafactor, AdamW
from llmrec_jax.training.schedules import Constant, WarmupLinear


def updates(optimizer, steps=3):
    """The parameters' path under gradients of changing size and sign."""
    rng = np.random.default_rng(0)
    params = {
        'mlp': {'kernel': jnp.asarray(rng.normal(size=(8, 6)), jnp.float32)},
        'norm': {'scale': jnp.ones(6), 'bias': jnp.ones(6)},
    }
    transformation = optimizer.build()
    state = transformation.init(params)
    for _ in range(steps):
        gradients = jax.tree.map(lambda p: jnp.asarray(5 * rng.normal(size=p.shape), jnp.float32), params)
        change, state = transformation.update(gradients, state, params)
        params = jax.tree.map(jnp.add, params, change)
    return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)])


ADAMW = AdamW(Constant(0.1), clip_norm=None)
ADAFACTOR = Adafactor(Constant(0.1), min_dim_size_to_factor=4, weight_decay=0.01)


@pytest.mark.parametrize(
    ('optimizer', 'change'),
    [
        (ADAMW, {'learning_rate': Constant(0.2)}),
        (ADAMW, {'learning_rate': WarmupLinear(0.1, 1, 3)}),
        (ADAMW, {'b1': 0.5}),
        (ADAMW, {'b2': 0.5}),
        (ADAMW, {'eps': 1.0}),
        (ADAMW, {'weight_decay': 0.1}),
        (ADAMW, {'weight_decay': 0.1, 'undecayed': ()}),
        (ADAMW, {'clip_norm': 10.0}),
        (ADAFACTOR, {'learning_rate': Constant(0.2)}),
        (ADAFACTOR, {'decay_rate': 0.5}),
        (ADAFACTOR, {'multiply_by_parameter_scale': False}),
        (ADAFACTOR, {'clipping_threshold': 0.5}),
        (ADAFACTOR, {'clipping_threshold': None}),
        (ADAFACTOR, {'min_dim_size_to_factor': 128}),
        (ADAFACTOR, {'weight_decay': 0.1}),
        (ADAFACTOR, {'undecayed': ()}),
        (ADAFACTOR, {'clip_norm': 1e-20}),
    ],
)
def test_every_option_changes_the_updates(optimizer, change):
    assert (updates(optimizer) != updates(dataclasses.replace(optimizer, **change))).any()


def test_adamw_is_the_published_update():
    rate, decay, b1, b2, eps = 0.1, 0.03, 0.8, 0.95, 1e-6
    rng = np.random.default_rng(1)
    params = {'kernel': jnp.asarray(rng.normal(size=4), jnp.float32)}
    transformation = AdamW(Constant(rate), b1, b2, eps, decay, clip_norm=None).build()
    state = transformation.init(params)
    expected, m, v = np.asarray(params['kernel'], np.float64), np.zeros(4), np.zeros(4)
    for t in range(1, 4):
        gradient = rng.normal(size=4)
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        direction = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        expected = expected - rate * (direction + decay * expected)
        change, state = transformation.update({'kernel': jnp.asarray(gradient, jnp.float32)}, state, params)
        params = jax.tree.map(jnp.add, params, change)
    np.testing.assert_allclose(params['kernel'], expected, rtol=1e-5)


@pytest.mark.parametrize('optimizer', [AdamW(Constant(0.1), weight_decay=0.5), ADAFACTOR])
def test_norms_and_biases_do_not_decay(optimizer):
    params = {'mlp': {'kernel': jnp.ones((8, 6))}, 'norm': {'scale': jnp.ones(6), 'bias': jnp.ones(6)}}
    transformation = optimizer.build()
    nothing = jax.tree.map(jnp.zeros_like, params)
    change, _ = transformation.update(nothing, transformation.init(params), params)
    assert (change['mlp']['kernel'] < 0).all()
    assert (change['norm']['scale'] == 0).all() and (change['norm']['bias'] == 0).all()


def test_adafactor_keeps_rows_and_columns_where_adam_keeps_matrices():
    params = {'kernel': jnp.ones((256, 512))}
    moments = jax.tree.leaves(Adafactor(Constant(0.1)).build().init(params))
    assert sum(leaf.size for leaf in moments) < 256 + 512 + 10


def test_clipping_bounds_the_gradient_before_the_moments():
    clipped = updates(AdamW(Constant(0.1), clip_norm=1e-3), steps=1)
    free = updates(AdamW(Constant(0.1), clip_norm=None), steps=1)
    # Adam's first update does not depend on the gradient's size, so clipping may change it by epsilon only.
    np.testing.assert_allclose(clipped, free, atol=2e-3)
