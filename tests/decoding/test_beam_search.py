"""What the search asks of a model's step, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.decoding.beam_search import beam_search, take_beams
from llmrec_jax.decoding.continuations import trie_continuations
from llmrec_jax.decoding.semantic_id_search import candidate_continuations
from llmrec_jax.semantic_ids.trie import build_trie, restrict
from tests.decoding.recurrent_model import RecurrentModel, random_tokens


def test_state_follows_its_prefix_and_beams_grow_from_one():
    """The state records the tokens read so far: it must always be the prefix that the new token belongs
    to."""
    tokens = random_tokens(60, (5, 5, 5, 5))
    model = RecurrentModel(batch_size=2, vocab=32)
    trie = build_trie(tokens)
    widths = []

    @jax.jit
    def search():
        prefixes = []

        def step(last, position, state):
            hidden, read = state
            widths.append(last.shape[1])
            read = read.at[:, :, position].set(last)
            logits, hidden = model.step(last, position, hidden)
            prefixes.append((read, last))
            return logits, (hidden, read)

        found = beam_search(
            step,
            (model.state, jnp.zeros((2, 1, 4), jnp.int32)),
            trie_continuations(trie, seen=None, allowed=None),
            batch_size=2,
            beam_size=8,
        )
        return found, prefixes

    found, prefixes = search()
    assert widths == [1, 5, 8, 8]
    # Whatever the last step read, the sequences that came out of it begin with one of its prefixes.
    read = np.asarray(prefixes[-1][0])
    for user in range(2):
        starts = {tuple(row[1:]) for row in read[user].tolist()}
        assert {tuple(row[:3]) for row in np.asarray(found.tokens[user]).tolist()} <= starts
    np.testing.assert_array_equal(read[:, :, -1], prefixes[-1][1])


def test_taking_beams_copies_whole_rows():
    leaf = jnp.arange(2 * 3 * 4).reshape(2, 3, 4)
    parents = jnp.array([[2, 2], [0, 1]])
    np.testing.assert_array_equal(take_beams(leaf, parents), leaf[jnp.array([[0], [1]]), parents])
    np.testing.assert_array_equal(take_beams(leaf[:, :1], jnp.zeros((2, 5), jnp.int32)), leaf[:, [0] * 5])


def test_one_loop_over_the_last_levels_finds_what_single_steps_find():
    tokens = random_tokens(60, (3, 3, 3, 3, 3))
    model = RecurrentModel(batch_size=2, vocab=32)
    random = np.random.default_rng(0)
    seen = jnp.asarray(random.integers(0, 60, (2, 7)))
    candidates = jnp.asarray(random.integers(0, 60, (2, 30)))

    @jax.jit
    def search(trie):
        allowed = restrict(trie, np.arange(60) % 7 != 0)
        kinds = [
            trie_continuations(trie, seen=None, allowed=None),
            trie_continuations(trie, seen=seen, allowed=allowed),
            candidate_continuations(trie, candidates, seen=seen, allowed=None),
        ]
        options = {'batch_size': 2, 'beam_size': 4}
        return [
            [beam_search(model.step, model.state, kind, **options, unrolled=n) for n in (None, 1, 3)]
            for kind in kinds
        ]

    for whole, *looped in search(build_trie(tokens, dense_levels=0)):
        found = whole.scores > -jnp.inf
        assert found.any(axis=1).all()
        for prefixes in looped:
            np.testing.assert_allclose(prefixes.scores, whole.scores, atol=1e-5)
            np.testing.assert_array_equal(prefixes.nodes[found], whole.nodes[found])
            np.testing.assert_array_equal(prefixes.tokens[found], whole.tokens[found])


@pytest.mark.parametrize('option', [{'batch_size': 0}, {'beam_size': 0}, {'temperature': 0.0}])
def test_an_empty_search_is_refused(option):
    model = RecurrentModel(batch_size=1, vocab=32)
    continuations = trie_continuations(build_trie(random_tokens(9, (3, 3))), seen=None, allowed=None)
    with pytest.raises(ValueError, match='must be positive'):
        beam_search(
            model.step,
            model.state,
            continuations,
            **{'batch_size': 1, 'beam_size': 1, 'temperature': 1.0} | option,
        )
