"""BERT4Rec's encoder: every state sees the whole sequence, and nothing of padding."""

import jax
import numpy as np
import pytest

from llmrec_jax.models.sequential.bert4rec import BERT4RecConfig, BERT4RecEncoder
from tests.models.sequential.encoders import LENGTH, drawn_params, mask, run, vectors

ENCODER = BERT4RecEncoder(BERT4RecConfig(max_length=LENGTH + 2, num_heads=2, mlp_dim=8, dropout_rate=0.4))


@pytest.fixture(scope='module')
def params():
    return drawn_params(ENCODER)


@pytest.fixture(scope='module')
def states(params):
    return np.asarray(run(ENCODER, params, vectors(), mask()))


@pytest.mark.parametrize('column', [0, 3, LENGTH - 1])
def test_every_item_reaches_every_state_of_its_sequence(params, states, column):
    changed = vectors()
    changed[0, column, 0] += 1
    after = np.asarray(run(ENCODER, params, changed, mask()))
    assert np.abs(after[0] - states[0]).max(axis=-1).min() > 1e-4
    np.testing.assert_array_equal(after[1:], states[1:])


def test_the_place_of_an_item_matters(params, states):
    swapped = vectors()
    swapped[0, [0, 4]] = swapped[0, [4, 0]]
    after = np.asarray(run(ENCODER, params, swapped, mask()))
    assert np.abs(after[0, -1] - states[0, -1]).max() > 1e-4


def test_what_stands_in_padding_does_not_matter(params, states):
    littered = np.where(mask()[..., None], vectors(), 7.0).astype(np.float32)
    np.testing.assert_array_equal(run(ENCODER, params, littered, mask()), states)
    assert not states[~mask()].any()


def test_more_padding_changes_nothing(params, states):
    longer = np.asarray(run(ENCODER, params, vectors(length=LENGTH + 3), mask(LENGTH + 3)))
    # Sums over more keys are added up in another order.
    np.testing.assert_allclose(longer[:, 3:], states, atol=1e-5)


def test_dropout_follows_its_key(params, states):
    first, again, other = (
        np.asarray(run(ENCODER, params, vectors(), mask(), jax.random.key(seed))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 and np.abs(first - states).max() > 1e-3


def test_sequences_beyond_the_positions_are_refused(params):
    with pytest.raises(ValueError, match='max_length'):
        run(ENCODER, params, vectors(length=LENGTH + 4), mask(LENGTH + 4))


@pytest.mark.parametrize('field, value', [('num_layers', 0), ('max_length', 0), ('dropout_rate', 1.0)])
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(ValueError, match=f'BERT4RecConfig.{field}={value}'):
        BERT4RecConfig(**{field: value})
