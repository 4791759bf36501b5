"""Samples follow the distribution they are said to follow, and nothing but their key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from llmrec_jax.decoding.sampling import Sampling, row_keys
from tests.decoding.recurrent_model import RecurrentModel

VOCAB = 9


def filtered_softmax(logits: np.ndarray, temperature: float, top_k: int | None, top_p: float) -> np.ndarray:
    """The distribution of a draw, token by token in the order of their probability."""
    probabilities = np.exp(logits / temperature - np.max(logits / temperature))
    order = np.argsort(-probabilities)[:top_k]
    kept = np.zeros_like(probabilities)
    mass = probabilities[order].sum()
    held = 0.0
    for token in order:
        if held >= top_p:
            break
        kept[token] = probabilities[token] / mass
        held += kept[token]
    return kept / kept.sum()


def draw(model, decoder, key, step=None):
    rows = model.batch_size
    return jax.jit(lambda key: decoder(step or model.step, model.state, batch_size=rows, key=key))(key)


@pytest.mark.parametrize(('temperature', 'top_k', 'top_p'), [(0.7, 6, 1.0), (1.5, None, 0.8), (2.0, 5, 0.7)])
def test_tokens_follow_the_tempered_and_cut_softmax(temperature, top_k, top_p):
    model = RecurrentModel(batch_size=1, vocab=VOCAB, scale=0.5)
    decoder = Sampling(2, temperature=temperature, top_k=top_k, top_p=top_p, samples=4000)
    generated = draw(model, decoder, jax.random.key(0))
    first, second = np.asarray(generated.tokens)[0].T
    # The second token too, behind the commonest first one that does not end the text.
    common = np.bincount(first[first > 1]).argmax()
    for drawn, prefix in ((first, ()), (second[first == common], (int(common),))):
        expected = filtered_softmax(model.log_probs(0, prefix), temperature, top_k, top_p)
        counts = np.bincount(drawn, minlength=VOCAB)
        assert (counts[expected == 0] == 0).all()
        kept = expected > 0
        assert kept.sum() > 2
        assert stats.chisquare(counts[kept], expected[kept] * len(drawn)).pvalue > 1e-3
    # Scores are the model's own.
    log_probs = model.log_probs(0, ())[first]
    ended = first == 1
    np.testing.assert_allclose(np.asarray(generated.scores)[0, ended], log_probs[ended], atol=1e-4)


def test_a_rows_samples_depend_on_its_key_alone():
    model = RecurrentModel(batch_size=4, vocab=VOCAB, scale=0.5)

    table = 0.5 * np.random.default_rng(0).normal(size=(VOCAB, VOCAB))

    def step(tokens, position, state):
        # The same model for every row, so that only keys tell rows apart.
        return jnp.asarray(table, jnp.float32)[tokens], state

    keys = jax.random.split(jax.random.key(7), 4)
    few = draw(model, Sampling(6, samples=2), keys, step).tokens
    many = draw(model, Sampling(6, samples=5), keys[::-1], step).tokens
    np.testing.assert_array_equal(many[::-1, :2], few)
    assert len({row.tobytes() for row in np.asarray(many).reshape(-1, 6)}) > 15


def test_one_key_serves_a_batch_in_every_form_a_key_has():
    key = jax.random.key(1)
    words = jnp.stack([jax.random.key_data(jax.random.fold_in(key, row)) for row in range(3)])
    for form in (key, jax.random.key_data(key), words, jax.random.wrap_key_data(words)):
        np.testing.assert_array_equal(jax.random.key_data(row_keys(form, 3)), words)
    # A hardware generator's key has four words; what it would draw depends on the batch.
    hardware = jax.random.key_data(row_keys(jax.random.key(1, impl='rbg'), 3))
    assert hardware.shape == (3, 2)


def test_sampling_without_a_key_of_its_rows_is_refused():
    model = RecurrentModel(batch_size=3, vocab=VOCAB)
    with pytest.raises(ValueError, match='give it a key'):
        Sampling(4)(model.step, model.state, batch_size=3)
    with pytest.raises(ValueError, match='3 rows need one key or one a row'):
        Sampling(4)(model.step, model.state, batch_size=3, key=jax.random.split(jax.random.key(0), 2))
