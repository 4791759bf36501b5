"""The same search on eight devices, and lowered for machines that are not here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
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


@pytest.mark.parametrize('shape', [(8, 1), (4, 2)])
def test_a_sharded_batch_finds_what_one_device_finds(problem, shape):
    find, (user, trie, seen, allowed) = problem
    items, scores = jax.jit(find)(user, trie, seen, allowed)
    mesh = jax.make_mesh(shape, ('data', 'model'), axis_types=(jax.sharding.AxisType.Auto,) * 2)
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


def test_the_whole_search_exports_for_every_platform(problem):
    find, arguments = problem
    leaves, structure = jax.tree.flatten(arguments)

    def flat_find(*leaves):
        return find(*jax.tree.unflatten(structure, leaves))

    exported = export.export(jax.jit(flat_find), platforms=('cpu', 'tpu', 'cuda'))(*leaves)
    again = export.deserialize(exported.serialize())
    assert again.platforms == ('cpu', 'tpu', 'cuda')
    for result, expected in zip(again.call(*leaves), jax.jit(find)(*arguments)):
        np.testing.assert_array_equal(result, expected)


def test_nothing_goes_back_to_the_host(problem):
    find, arguments = problem
    text = jax.jit(find).lower(*arguments).as_text()
    assert 'callback' not in text and 'infeed' not in text and 'outfeed' not in text
