"""Exact scores of every item, against sums of log-probabilities in double precision."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.decoding.exhaustive import rank_items, score_items
from tests.decoding.recurrent_model import RecurrentModel, random_tokens


@pytest.mark.parametrize('chunk_size', [1, 7, 1000])
@pytest.mark.parametrize('temperature', [1.0, 2.0])
def test_a_score_is_the_log_probability_of_the_sequence(chunk_size, temperature):
    tokens = random_tokens(20, (3, 3, 3))
    model = RecurrentModel(batch_size=2, vocab=16)
    scores = score_items(
        model.step,
        model.state,
        jnp.asarray(tokens),
        batch_size=2,
        temperature=temperature,
        chunk_size=chunk_size,
    )
    expected = [
        [
            sum(model.log_probs(user, tuple(row[:level]), temperature)[row[level]] for level in range(3))
            for row in tokens.tolist()
        ]
        for user in range(2)
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_ranking_keeps_what_the_filters_let_through():
    scores = jnp.log(jnp.array([[0.1, 0.4, 0.2, 0.3, 0.2], [0.5, 0.1, 0.1, 0.1, 0.0]]))
    tokens = jnp.arange(10).reshape(5, 2)
    ranked = rank_items(
        scores,
        tokens,
        beam_size=6,
        seen=jnp.array([[3, -1], [9, 1]]),
        allowed=jnp.array([True, True, True, True, False]),
    )
    np.testing.assert_array_equal(ranked.items, [[1, 2, 0, -1, -1, -1], [0, 2, 3, -1, -1, -1]])
    np.testing.assert_array_equal(ranked.valid, ranked.items >= 0)
    np.testing.assert_array_equal(ranked.tokens[0, :3], tokens[jnp.array([1, 2, 0])])
    np.testing.assert_allclose(np.exp(ranked.scores[0]), [0.4, 0.2, 0.1, 0, 0, 0], rtol=1e-6)


@pytest.mark.parametrize('option', [{'chunk_size': 0}, {'temperature': -1.0}])
def test_settings_that_score_nothing_are_refused(option):
    model = RecurrentModel(batch_size=1, vocab=16)
    tokens = jnp.asarray(random_tokens(9, (3, 3)))
    with pytest.raises(ValueError, match='must be positive'):
        score_items(model.step, model.state, tokens, batch_size=1, **option)
