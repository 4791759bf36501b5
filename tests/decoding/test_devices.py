"""The same search on eight devices, without a word to the host."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.semantic_ids.trie import build_trie, restrict
from tests.decoding.recurrent_model import RecurrentModel, random_tokens

BATCH = 8


@pytest.fixture
def problem():
    """A search as a function of arrays alone, and its arguments."""
    model = RecurrentModel(batch_size=BATCH, vocab=64)
    trie = build_trie(random_tokens(200, (8, 8, 8)))
    random = np.random.default_rng(0)

    def find(user, trie, seen, allowed):
        def step(tokens, position, state):
            logits, state = model.step(tokens, position, state + 0.1 * user[:, None])
            return logits, state

        searcher = SemanticIdSearch(beam_size=6)
        beams = searcher(step, model.state, batch_size=BATCH, trie=trie, seen=seen, allowed=allowed)
        return beams.items, beams.scores

    user = jnp.asarray(random.normal(size=(BATCH, model.width)), jnp.float32)
    seen = jnp.asarray(random.integers(-1, 200, (BATCH, 5)))
    return find, (user, trie, seen, restrict(trie, random.random(200) < 0.7))


def test_a_sharded_batch_finds_what_one_device_finds(problem):
    find, (user, trie, seen, allowed) = problem
    items, scores = jax.jit(find)(user, trie, seen, allowed)
    mesh = jax.make_mesh((4, 2), ('data', 'model'), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    by_user = NamedSharding(mesh, PartitionSpec('data'))
    replicated = NamedSharding(mesh, PartitionSpec())
    with jax.set_mesh(mesh):
        sharded_items, sharded_scores = jax.jit(find, out_shardings=by_user)(
            jax.device_put(user, by_user),
            jax.device_put(trie, replicated),
            jax.device_put(seen, by_user),
            jax.device_put(allowed, replicated),
        )
    assert len(sharded_items.sharding.device_set) == 8
    np.testing.assert_array_equal(sharded_items, items)
    np.testing.assert_allclose(sharded_scores, scores, atol=1e-5)


def test_nothing_goes_back_to_the_host(problem):
    find, arguments = problem
    text = jax.jit(find).lower(*arguments).as_text()
    assert 'callback' not in text and 'infeed' not in text and 'outfeed' not in text
