"""SASRec's invariants: a state knows its past alone, and padding is nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.sequential.sasrec import BLOCK_ORDERS, SASRecConfig, SASRecEncoder
from tests.drawn_parameters import drawn

ITEMS, LENGTH, DIM = 20, 6, 8
CONFIG = SASRecConfig(max_length=LENGTH, num_heads=2, dropout_rate=0.0)


@pytest.fixture(scope='module', params=BLOCK_ORDERS)
def states(request):
    """Tokens to the states of every position, by a network whose parameters are all drawn at random."""
    encoder = SASRecEncoder(dataclasses.replace(CONFIG, block_order=request.param))
    model = SequentialRecommenderModel(ItemTable(DIM), encoder, FullSoftmax())
    model = model.for_catalogue(CatalogueFacts(ITEMS))
    params = drawn(model, {})
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + rng.normal(0, 0.3, leaf.shape).astype(np.float32), params)
    return jax.jit(lambda tokens: model.network.apply({'params': params}, tokens))


def test_a_state_does_not_change_with_what_comes_after_it(states):
    tokens = np.array([[1, 2, 3, 4, 5, 6], [0, 0, 7, 8, 9, 10]])
    before = np.asarray(states(tokens))
    for column in range(1, LENGTH):
        changed = tokens.copy()
        changed[:, column] = 11
        after = np.asarray(states(changed))
        np.testing.assert_array_equal(after[:, :column], before[:, :column])
        assert (np.abs(after[:, column:] - before[:, column:]).max(axis=(1, 2)) > 1e-3).all()


def test_padding_is_nothing_however_wide(states):
    narrow = np.array([[3, 1, 4], [0, 1, 5]])
    wide = np.pad(narrow, ((0, 0), (3, 0)))
    np.testing.assert_allclose(states(wide)[:, 3:], states(narrow), rtol=0, atol=1e-6)
    assert not np.asarray(states(wide))[:, :3].any()


def test_neighbours_in_the_batch_do_not_matter(states):
    tokens = np.array([[1, 2, 3, 4, 5, 6], [0, 0, 7, 8, 9, 10]])
    other = np.stack([tokens[0], np.full(LENGTH, 12)])
    np.testing.assert_array_equal(states(tokens)[0], states(other)[0])


def test_positions_are_told_apart(states):
    assert np.abs(states(np.array([[7, 7, 7]]))[0, 1] - states(np.array([[7, 7, 7]]))[0, 2]).max() > 1e-3


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'num_layers': 0}, 'num_layers=0 must be at least 1'),
        ({'dropout_rate': 1.0}, r'dropout_rate=1.0 must lie in \[0, 1\)'),
        ({'block_order': 'post'}, "block_order='post' must be one of original, pre_norm"),
        ({'activation': 'tanh'}, "activation='tanh' must be one of relu, gelu"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)


@pytest.mark.parametrize(
    ('config', 'length', 'message'),
    [
        (CONFIG, LENGTH + 1, 'sequences of 7 items do not fit max_length=6'),
        (dataclasses.replace(CONFIG, num_heads=3), 2, 'num_heads=3 do not divide a width of 8'),
    ],
)
def test_sequences_that_do_not_fit_are_refused(config, length, message):
    def init():
        embedded, mask = jnp.zeros((1, length, DIM)), jnp.ones((1, length), bool)
        return SASRecEncoder(config).init(jax.random.key(0), embedded, mask, enable_dropout=False)

    with pytest.raises(ValueError, match=message):
        jax.eval_shape(init)
