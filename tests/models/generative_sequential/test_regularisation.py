"""Label smoothing inside the trie, and codes that are left out in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.generative_sequential.coded_items import CodedItems
from llmrec_jax.models.generative_sequential.heads import AutoregressiveHeads
from tests.models.generative_sequential.small import DIM, FACTS, TABLE, drawn_params, small_model

N, CODED = TABLE.n_items, FACTS.coded
SMOOTHING = 0.3


@pytest.fixture(scope='module')
def asked():
    params = drawn_params(small_model())
    states = np.random.default_rng(2).normal(size=(N, DIM)).astype(np.float32)
    return params, jnp.asarray(states), jnp.arange(N)


def losses(asked, key, **changes):
    params, states, items = asked
    network = small_model().network.clone(
        heads=AutoregressiveHeads(DIM, hidden_dim=6, out_dim=5, **changes).for_catalogue(FACTS)
    )

    @jax.jit
    def found(params, key):
        return network.apply(
            {'params': params},
            method=lambda one: one.heads.losses(one.item_encoder.table(), states, items, key),
        )

    return np.asarray(found(params, key))


def test_smoothing_is_spread_over_the_children_of_the_node_alone(asked):
    params, states, _ = asked
    found = losses(asked, jax.random.key(0), label_smoothing=SMOOTHING)
    network, codes = small_model().network, CODED.codes
    scores = network.apply({'params': params}, states, method='catalogue_log_probabilities')
    probability = np.exp(np.asarray(scores, np.float64))
    for item in range(N):
        for level in range(CODED.levels):
            under = (codes[:, :level] == codes[item, :level]).all(axis=1)
            children = np.unique(codes[under, level])
            of_child = np.array([
                probability[item, under & (codes[:, level] == child)].sum() for child in children
            ])  # fmt: skip
            chosen = np.log(of_child / of_child.sum())
            target = (1 - SMOOTHING) * (children == codes[item, level]) + SMOOTHING / len(children)
            assert target.sum() == pytest.approx(1)
            np.testing.assert_allclose(found[level, item], -(target * chosen).sum(), rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(losses(asked, None, label_smoothing=SMOOTHING), losses(asked, None))


def test_masked_codes_above_do_not_move_the_state(asked):
    params, states, items = asked
    plain = losses(asked, jax.random.key(0))
    masked = losses(asked, jax.random.key(0), code_masking=0.5)
    blind = {**params, 'heads': {**params['heads'], 'codes': jnp.zeros_like(params['heads']['codes'])}}
    unmoved = losses((blind, states, items), None)
    # The first level has none above it; at the second each position sees the code or does not.
    np.testing.assert_array_equal(masked[0], plain[0])
    several = np.abs(plain[1] - unmoved[1]) > 1e-3
    hidden = np.isclose(masked[1], unmoved[1], rtol=1e-5)[several]
    seen = np.isclose(masked[1], plain[1], rtol=1e-5)[several]
    assert (hidden ^ seen).all() and 0.2 < hidden.mean() < 0.8
    np.testing.assert_array_equal(losses(asked, None, code_masking=0.5), losses(asked, None))


def test_codes_of_what_is_read_are_left_out_in_training():
    encoder = CodedItems(4, own_vectors=False, code_masking=0.5).for_catalogue(FACTS)
    variables = encoder.init(jax.random.key(0), jnp.ones((1, 1), jnp.int32))
    tokens = jnp.full((400, 1), 7)
    shown = np.asarray(encoder.apply(variables, tokens, rngs={'dropout': jax.random.key(1)}))[:, 0]
    parts = [
        np.asarray(variables['params'][f'codes_{level}'])[code] for level, code in enumerate(CODED.codes[6])
    ]
    subsets = [
        sum((part for place, part in enumerate(parts) if number >> place & 1), np.zeros(4))
        for number in range(8)
    ]
    which = np.array([[np.allclose(row, one, atol=1e-6) for one in subsets] for row in shown])
    assert (which.sum(axis=1) == 1).all()
    np.testing.assert_allclose(which.mean(axis=0), 1 / 8, atol=0.06)
    np.testing.assert_allclose(encoder.apply(variables, tokens)[0, 0], sum(parts), rtol=1e-5)


@pytest.mark.parametrize('field', ['label_smoothing', 'code_masking'])
def test_a_share_of_1_is_refused(field):
    with pytest.raises(ValueError, match=f'{field}=1.0'):
        AutoregressiveHeads(DIM, **{field: 1.0}).for_catalogue(FACTS)
