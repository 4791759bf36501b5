"""Codes that are written all at once: what items score by them, and what smoothing and masking change."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.generative_sequential.parallel_heads import ParallelHeads
from tests.models.generative_sequential.small import DIM, FACTS, LENGTH, TABLE, drawn_params, small_model

N, CODED = TABLE.n_items, FACTS.coded


def parallel_model(**changes):
    heads = ParallelHeads(DIM, hidden_dim=6, out_dim=5, **changes)
    return dataclasses.replace(small_model(), heads=heads).for_catalogue(FACTS)


@pytest.fixture(scope='module')
def asked():
    """A model, its parameters, states, and each level's log-probabilities by numpy."""
    model = parallel_model()
    params = drawn_params(model)
    states = np.random.default_rng(2).normal(size=(5, DIM)).astype(np.float32)
    heads = {name: np.asarray(array, np.float64) for name, array in params['heads'].items()}

    def normed(rows, scale):
        rows = rows - rows.mean(axis=-1, keepdims=True)
        return rows / np.sqrt((rows**2).mean(axis=-1, keepdims=True) + 1e-6) * scale

    levels = []
    for level in range(CODED.levels):
        of = {name: array[level] for name, array in heads.items()}
        inner = jax.nn.gelu(normed(states, of['norm_scale']) @ of['wi_kernel'] + of['wi_bias'])
        query = normed(states + np.asarray(inner) @ of['wo_kernel'], of['out_norm_scale'])
        logits = query @ of['query_kernel'] @ of['words'].T + of['word_bias']
        used = np.unique(CODED.codes[:, level])
        found = np.full_like(logits, -np.inf)
        found[:, used] = logits[:, used] - np.log(np.exp(logits[:, used]).sum(axis=1, keepdims=True))
        levels.append(found)
    return model, params, states, levels


def of_heads(model, params, method, *arguments):
    return np.asarray(
        model.network.apply(
            {'params': params},
            *arguments,
            method=lambda network, *rest: getattr(network.heads, method)(network.table(), *rest),
        )
    )


def test_an_item_scores_the_sum_of_its_codes(asked):
    model, params, states, levels = asked
    expected = sum(found[:, CODED.codes[:, level]] for level, found in enumerate(levels))
    found = of_heads(model, params, 'log_probabilities', jnp.asarray(states))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    items = np.array([3, 0, N - 1, 7, 7])
    losses = of_heads(model, params, 'losses', jnp.asarray(states), jnp.asarray(items), None)
    np.testing.assert_allclose(losses.sum(axis=0), -expected[np.arange(5), items], rtol=1e-4)
    histories = np.random.default_rng(3).integers(1, N + 1, (4, LENGTH)).astype(np.int32)
    scores = np.asarray(jax.jit(model.scores)(params, histories))
    # Codes that no item has together take part of the probability.
    assert (np.exp(scores).sum(axis=1) < 0.99).all() and np.isneginf(scores[:, N:]).all()


def test_smoothing_is_spread_over_the_codes_of_the_level(asked):
    model, params, states, levels = asked
    items = np.array([3, 0, N - 1, 7, 7])
    smooth = parallel_model(label_smoothing=0.3)
    arguments = (jnp.asarray(states), jnp.asarray(items))
    found = of_heads(smooth, params, 'losses', *arguments, jax.random.key(0))
    for level, chosen in enumerate(levels):
        used = np.unique(CODED.codes[:, level])
        of_target = chosen[np.arange(5), CODED.codes[items, level]]
        expected = -0.7 * of_target - 0.3 * chosen[:, used].mean(axis=1)
        np.testing.assert_allclose(found[level], expected, rtol=1e-4)
    # Without a key it is judged as it is asked.
    plain = of_heads(model, params, 'losses', *arguments, None)
    np.testing.assert_array_equal(of_heads(smooth, params, 'losses', *arguments, None), plain)


def test_codes_that_heads_do_not_see_cannot_be_masked():
    with pytest.raises(ValueError, match=r'CodedItems\.code_masking'):
        parallel_model(code_masking=0.1)
