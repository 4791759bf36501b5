"""Greedy and beam texts against searches written in plain Python, and what every decoder keeps to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.decoding.beam import Beam, DiverseBeam
from llmrec_jax.decoding.generation import Generated
from llmrec_jax.decoding.sampling import Greedy, Sampling
from tests.decoding import text_searches
from tests.decoding.recurrent_model import RecurrentModel
from tests.decoding.text_searches import END

USERS, LENGTH = 6, 5


@pytest.fixture(scope='module')
def model():
    return RecurrentModel(batch_size=USERS, vocab=7, scale=1.5)


def generate(model, decoder, step=None, key=None) -> Generated:
    @jax.jit
    def decode(key):
        return decoder(step or model.step, model.state, batch_size=model.batch_size, key=key)

    return decode(key)


def check_texts(generated: Generated, user: int, expected: list[text_searches.Text]) -> None:
    texts = [
        tuple(row[:length])
        for row, length in zip(generated.tokens[user].tolist(), generated.lengths[user].tolist())
    ]
    assert texts[: len(expected)] == [text for text, _ in expected]
    found = np.asarray(generated.scores[user])[: len(expected)]
    np.testing.assert_allclose(found, [score for _, score in expected], atol=1e-4)


def test_greedy_takes_the_likeliest_token_until_the_end(model):
    generated = generate(model, Greedy(LENGTH))
    for user in range(USERS):
        check_texts(generated, user, [text_searches.greedy(model, user, LENGTH)])
    lengths = np.asarray(generated.lengths)[:, 0]
    assert lengths.min() < lengths.max() == LENGTH
    behind = np.arange(LENGTH) >= lengths[:, None]
    assert (np.asarray(generated.tokens)[:, 0][behind] == 0).all()


@pytest.mark.parametrize(
    'decoder',
    [
        Beam(LENGTH, 5, length_penalty=0.0),
        Beam(LENGTH, 3, length_penalty=2.0, min_length=3),
        DiverseBeam(LENGTH, 6, groups=3, diversity_penalty=0.7),
    ],
    ids=['no length penalty', 'minimal length', 'three groups'],
)
def test_beams_are_those_of_a_search_in_plain_python(model, decoder):
    generated = generate(model, decoder)
    for user in range(USERS):
        expected = text_searches.diverse_beams(
            model,
            user,
            LENGTH,
            decoder.beam_size,
            getattr(decoder, 'groups', 1),
            getattr(decoder, 'diversity_penalty', 0.0),
            decoder.length_penalty,
            decoder.min_length,
        )
        assert len(expected) == decoder.beam_size
        check_texts(generated, user, expected)


def test_a_beam_as_wide_as_the_language_finds_every_text_in_order():
    model = RecurrentModel(batch_size=2, vocab=4, scale=1.0)
    texts = text_searches.every_text(model, 0, 3)
    generated = generate(model, Beam(3, len(texts) + 3, length_penalty=0.0))
    for user in range(2):
        check_texts(generated, user, text_searches.every_text(model, user, 3))
    # No text is there to fill the last slots.
    assert (np.asarray(generated.scores)[:, -3:] == -np.inf).all()
    assert (np.asarray(generated.tokens)[:, -3:] == 0).all() and (generated.lengths[:, -3:] == 0).all()


@pytest.mark.parametrize('decoder', [Beam(64, 3), Sampling(64, samples=2)], ids=['beam', 'samples'])
def test_the_loop_ends_when_all_texts_have_ended(model, decoder):
    positions = []

    def step(tokens, position, state):
        jax.debug.callback(lambda position: positions.append(int(position)), position)
        logits, state = model.step(tokens, position, state)
        is_end = jnp.arange(model.vocab) == END
        # Users end one after the other; the last one at its fifth token.
        must_end = (position >= jnp.arange(USERS) - 1)[:, None, None]
        return jnp.where(is_end[None, None], jnp.where(must_end, 1e3, -1e3), logits), state

    generated = generate(model, decoder, step, jax.random.key(0))
    jax.block_until_ready(generated)
    jax.effects_barrier()
    assert sorted(positions) == list(range(USERS - 1))
    np.testing.assert_array_equal(generated.lengths[:, 0], [1, 1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    'decoder', [DiverseBeam(4, 4, groups=2), Sampling(4, samples=2)], ids=['beams', 'samples']
)
def test_a_model_that_breaks_never_reads_as_an_answer(model, decoder):
    def step(tokens, position, state):
        logits, state = model.step(tokens, position, state)
        # Nobody ends by themselves but user 0, at once; all logits break at the third token but user 5's.
        ends = jnp.where((jnp.arange(USERS) == 0)[:, None], 1e3, -1e3)
        logits = logits.at[:, :, END].set(jnp.broadcast_to(ends, logits.shape[:2]))
        breaks = (position == 2) & (jnp.arange(USERS) != 5)
        return jnp.where(breaks[:, None, None], jnp.nan, logits), state

    generated = generate(model, decoder, step, jax.random.key(0))
    scores = np.asarray(generated.scores)
    assert np.isfinite(scores[[0, 5], 0]).all()
    assert np.isnan(scores[1:5]).all()
    assert (np.asarray(generated.tokens)[1:5] == 0).all() and (np.asarray(generated.lengths)[1:5] == 0).all()


@pytest.mark.parametrize(
    ('decoder', 'options', 'message'),
    [
        (Greedy, {'max_length': 0}, 'max_length must be at least 1'),
        (Greedy, {'max_length': 3, 'end_token': 0}, 'must be two tokens'),
        (Beam, {'max_length': 3, 'beam_size': 0}, 'beam_size must be at least 1, got 0'),
        (Beam, {'max_length': 3, 'beam_size': 2, 'min_length': 3}, 'below max_length 3, got 3'),
        (DiverseBeam, {'max_length': 3, 'beam_size': 4, 'groups': 3}, '4 beams do not divide into 3 groups'),
        (DiverseBeam, {'max_length': 3, 'beam_size': 4, 'groups': 0}, 'do not divide into 0 groups'),
        (
            DiverseBeam,
            {'max_length': 3, 'beam_size': 3, 'diversity_penalty': -1.0},
            'diversity_penalty must not be negative',
        ),
        (Sampling, {'max_length': 3, 'temperature': 0.0}, 'Greedy is its limit'),
        (Sampling, {'max_length': 3, 'top_k': 0}, 'top_k must be at least 1'),
        (Sampling, {'max_length': 3, 'top_p': 0.0}, r'top_p must be in \(0, 1\], got 0'),
        (Sampling, {'max_length': 3, 'top_p': 1.1}, r'top_p must be in \(0, 1\], got 1.1'),
        (Sampling, {'max_length': 3, 'samples': 0}, 'samples must be at least 1'),
    ],
)
def test_settings_that_generate_nothing_are_refused(decoder, options, message):
    with pytest.raises(ValueError, match=message):
        decoder(**options)
