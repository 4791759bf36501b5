"""GRU4Rec's and Caser's encoders: what a state may see, and their equations in numpy."""

import jax
import numpy as np
import pytest

from llmrec_jax.models.sequential.caser import CaserConfig, CaserEncoder
from llmrec_jax.models.sequential.gru import GRUConfig, GRUEncoder
from tests.models.sequential.encoders import BATCH, DIM, LENGTH, drawn_params, mask, run, vectors

WINDOW = 3
ENCODERS = {
    'gru': GRUEncoder(GRUConfig(5, num_layers=2, embedding_dropout_rate=0.4, hidden_dropout_rate=0.4)),
    'caser': CaserEncoder(CaserConfig(WINDOW, horizontal_filters=2, vertical_filters=2, dropout_rate=0.4)),
}


@pytest.fixture(scope='module', params=ENCODERS)
def encoder(request):
    return ENCODERS[request.param]


@pytest.fixture(scope='module')
def params(encoder):
    return drawn_params(encoder)


@pytest.fixture(scope='module')
def states(encoder, params):
    return np.asarray(run(encoder, params, vectors(), mask()))


def test_an_item_leaves_the_states_before_it(encoder, params, states):
    changed = vectors()
    changed[0, 4] += 1
    after = np.asarray(run(encoder, params, changed, mask()))
    np.testing.assert_array_equal(after[0, :4], states[0, :4])
    np.testing.assert_array_equal(after[1:], states[1:])
    assert np.abs(after[0, 4:6] - states[0, 4:6]).max(axis=-1).min() > 1e-4


def test_what_stands_in_padding_does_not_matter(encoder, params, states):
    littered = np.where(mask()[..., None], vectors(), 7.0).astype(np.float32)
    np.testing.assert_array_equal(run(encoder, params, littered, mask()), states)


def test_more_padding_changes_nothing(encoder, params, states):
    longer = np.asarray(run(encoder, params, vectors(length=LENGTH + 3), mask(LENGTH + 3)))
    np.testing.assert_array_equal(longer[:, 3:], states)


def test_positions_of_padding_have_zero_states(states):
    assert not states[~mask()].any()
    assert states[mask()].any()


def test_dropout_follows_its_key(encoder, params, states):
    first, again, other = (
        np.asarray(run(encoder, params, vectors(), mask(), jax.random.key(seed))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 and np.abs(first - states).max() > 1e-3


def test_caser_sees_its_window_alone():
    encoder = ENCODERS['caser']
    params = drawn_params(encoder)
    changed = vectors()
    changed[0, 2] += 1
    before, after = (np.asarray(run(encoder, params, embedded, mask())) for embedded in (vectors(), changed))
    np.testing.assert_array_equal(after[0, 2 + WINDOW :], before[0, 2 + WINDOW :])
    assert np.abs(after[0, 2 + WINDOW - 1] - before[0, 2 + WINDOW - 1]).max() > 1e-4


def test_gru_follows_its_equations():
    encoder = ENCODERS['gru']
    params = drawn_params(encoder)
    states = vectors()[0]
    for layer in range(2):
        weights = {name: np.asarray(leaf) for name, leaf in params[f'layers_{layer}'].items()}
        hidden, out = np.zeros(5), []
        for vector in states:
            driven = [vector @ weights['kernel'][:, gate] + weights['bias'][gate] for gate in range(3)]
            echoed = [hidden @ weights['recurrent_kernel'][:, gate] for gate in range(3)]
            reset, update = (1 / (1 + np.exp(-(driven[gate] + echoed[gate]))) for gate in range(2))
            candidate = np.tanh(driven[2] + reset * (echoed[2] + weights['candidate_bias']))
            hidden = (1 - update) * candidate + update * hidden
            out.append(hidden)
        states = np.stack(out)
    expected = states @ np.asarray(params['output']['kernel'])
    np.testing.assert_allclose(run(encoder, params, vectors(), mask())[0], expected, atol=1e-5)


def test_caser_follows_its_equations():
    encoder = ENCODERS['caser']
    params = jax.tree.map(np.asarray, drawn_params(encoder))
    states = np.asarray(run(encoder, params, vectors(), mask()))
    for row in range(BATCH):
        items = np.concatenate([np.zeros((WINDOW - 1, DIM)), vectors()[row]])
        for position in np.flatnonzero(mask()[row]):
            window = items[position : position + WINDOW]
            features = []
            for height in range(1, WINDOW + 1):
                kernel, bias = params[f'horizontal_kernel_{height}'], params[f'horizontal_bias_{height}']
                for filter_ in range(kernel.shape[-1]):
                    places = range(WINDOW - height + 1)
                    answers = [
                        (window[place : place + height] * kernel[..., filter_]).sum() for place in places
                    ]
                    features.append(max(0.0, max(answers) + bias[filter_]))
            for filter_ in range(params['vertical_kernel'].shape[-1]):
                features.extend(params['vertical_kernel'][:, filter_] @ window)
            hidden = np.array(features) @ params['hidden']['kernel'] + params['hidden']['bias']
            expected = np.maximum(hidden, 0) @ params['output']['kernel']
            np.testing.assert_allclose(states[row, position], expected, atol=1e-5)


@pytest.mark.parametrize('kind', [GRUConfig, CaserConfig])
@pytest.mark.parametrize('field, value', [('size', 0), ('rate', 1.0), ('rate', -0.1)])
def test_impossible_settings_are_refused(kind, field, value):
    names = {
        GRUConfig: {'size': 'num_layers', 'rate': 'hidden_dropout_rate'},
        CaserConfig: {'size': 'window', 'rate': 'dropout_rate'},
    }
    with pytest.raises(ValueError, match=f'{kind.__name__}.{names[kind][field]}={value}'):
        kind(**{names[kind][field]: value})
