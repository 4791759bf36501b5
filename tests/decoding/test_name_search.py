"""Ids that are words: names of different lengths, the whole catalogue or each user's candidates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.semantic_ids.trie import build_trie, name_trie, restrict
from tests.decoding.recurrent_model import RecurrentModel, python_beam_search, random_tokens

END = 1
USERS = 2


@pytest.fixture(scope='module')
def names():
    """Forty names of one to four pieces; many begin with another."""
    random = np.random.default_rng(0)
    drawn = {tuple(random.integers(2, 7, random.integers(1, 5)).tolist()) for _ in range(80)}
    return sorted(drawn)[::-1][:40]


@pytest.fixture(scope='module')
def model():
    return RecurrentModel(batch_size=USERS, vocab=9)


@pytest.fixture(scope='module')
def scores(names, model):
    """log P(name, end | user) in double precision."""
    return np.array(
        [
            [
                sum(model.log_probs(user, row[:place])[row[place]] for place in range(len(row)))
                for row in ((*name, END) for name in names)
            ]
            for user in range(USERS)
        ]
    )


def search(model, searcher, trie, step=None, **filters):
    def find(trie, filters):
        return searcher(step or model.step, model.state, batch_size=USERS, trie=trie, **filters)

    return jax.jit(find)(trie, filters)


def test_a_beam_as_wide_as_the_catalogue_ranks_names_exactly(names, model, scores):
    beams = search(model, NameSearch(beam_size=50, end_token=END), name_trie(names, END))
    np.testing.assert_array_equal(beams.valid.sum(axis=1), [40, 40])
    order = np.argsort(-scores, axis=1)
    np.testing.assert_array_equal(beams.items[:, :40], order)
    np.testing.assert_allclose(beams.scores[:, :40], np.take_along_axis(scores, order, axis=1), atol=1e-4)
    for row, item in zip(beams.tokens[0, :40].tolist(), order[0]):
        padding = [0] * (max(map(len, names)) - len(names[item]))
        assert row == [*names[item], END, *padding]


def test_every_narrow_beam_is_a_name(names, model, scores):
    beams = search(model, NameSearch(beam_size=6, end_token=END), name_trie(names, END))
    assert beams.valid.all()
    np.testing.assert_allclose(beams.scores, np.take_along_axis(scores, beams.items, axis=1), atol=1e-4)
    assert (np.diff(beams.scores, axis=1) <= 0).all()


def test_candidates_are_ranked_by_themselves(names, model, scores):
    trie = name_trie(names, END)
    candidates = np.array([[7, 3, -1, 21, 7, 39, 11], [0, 1, 2, 40, -5, 30, 31]])
    seen = np.array([[3, -1], [9, 2]])
    allowed = np.arange(40) != 31
    beams = search(
        model,
        NameSearch(beam_size=7, end_token=END),
        trie,
        candidates=jnp.asarray(candidates),
        seen=jnp.asarray(seen),
        allowed=restrict(trie, allowed),
    )
    for user, left in enumerate([[7, 21, 39, 11], [0, 1, 30]]):
        expected = sorted(left, key=lambda item: -scores[user, item])
        assert beams.items[user].tolist() == expected + [-1] * (7 - len(left))
        np.testing.assert_allclose(beams.scores[user, : len(left)], scores[user, expected], atol=1e-4)


def test_a_narrow_search_among_candidates_is_the_search_of_a_catalogue_of_them():
    tokens = random_tokens(60, (4, 4, 4))
    model = RecurrentModel(batch_size=USERS, vocab=int(tokens.max()) + 1)
    candidates = np.random.default_rng(1).permuted(np.tile(np.arange(60), (USERS, 1)), axis=1)[:, :20]
    beams = search(
        model, SemanticIdSearch(beam_size=4), build_trie(tokens), candidates=jnp.asarray(candidates)
    )
    for user in range(USERS):
        expected = python_beam_search(model, tokens, set(candidates[user].tolist()), user, 4, 1.0)
        assert beams.items[user].tolist() == [item for item, _ in expected]
        np.testing.assert_allclose(beams.scores[user], [score for _, score in expected], atol=1e-4)


def test_a_model_that_breaks_for_one_user_ranks_nothing_for_them(names, model):
    def step(tokens, position, state):
        logits, state = model.step(tokens, position, state)
        broken = (jnp.arange(USERS) == 1) & (position == 1)
        return jnp.where(broken[:, None, None], jnp.nan, logits), state

    beams = search(model, NameSearch(beam_size=3, end_token=END), name_trie(names, END), step)
    assert beams.valid[0].all() and not beams.valid[1].any()
    assert np.isnan(beams.scores[1]).all() and (np.asarray(beams.items[1]) == -1).all()
