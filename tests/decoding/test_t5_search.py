"""The search around the real network: equal to scoring the whole catalogue, on one device and on eight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.decoding.beam_search import invalid_rate
from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import Transformer
from llmrec_jax.semantic_ids.trie import build_trie, find_items
from tests.decoding.exhaustive import rank_items
from tests.decoding.t5_problem import T5Problem, t5_problem

USERS = 8


@pytest.fixture(scope='module')
def problem():
    return t5_problem(users=USERS)


@pytest.fixture(scope='module')
def recommend(problem):
    """Jitted once for the module: (params, batch, trie) to six beams a user."""
    return problem.recommend(SemanticIdSearch(beam_size=6))


@pytest.fixture(scope='module')
def beams(problem, recommend):
    return recommend(problem.params, problem.batch, build_trie(problem.tokens))


def teacher_forced_scores(problem: T5Problem) -> jax.Array:
    """log P(item | user) through the training forward pass: neither cache, nor trie, nor beams."""
    users, items = len(problem.inputs), len(problem.tokens)
    model = EncoderDecoderModel(module=Transformer(problem.config))
    batch = model.convert_features(
        {'inputs': np.repeat(problem.inputs, items, axis=0), 'targets': np.tile(problem.tokens, (users, 1))}
    )
    return jax.jit(model.score_batch)(problem.params, batch).reshape(users, items)


def test_a_beam_as_wide_as_the_catalogue_equals_scoring_every_item(problem):
    search = problem.recommend(SemanticIdSearch(beam_size=300))
    beams = search(problem.params, problem.batch, build_trie(problem.tokens))
    exact = rank_items(teacher_forced_scores(problem), jnp.asarray(problem.tokens), beam_size=300)
    assert beams.valid.all()
    np.testing.assert_allclose(beams.scores, exact.scores, atol=1e-4)
    # Single precision may swap neighbours that are closer than its rounding; nothing else may move.
    moved = np.asarray(beams.items != exact.items)
    gaps = -np.diff(np.asarray(exact.scores), axis=1)
    near = np.pad(gaps < 1e-5, ((0, 0), (0, 1))) | np.pad(gaps < 1e-5, ((0, 0), (1, 0)))
    assert (~moved | near).all()
    assert moved.mean() < 0.02


def test_an_untrained_model_makes_up_items_unless_it_is_constrained(problem, beams):
    trie = build_trie(problem.tokens)
    search = problem.recommend(SemanticIdSearch(beam_size=6, constrained=False))
    free = search(problem.params, problem.batch, trie)
    assert (np.asarray(invalid_rate(free)) > 0).all()
    np.testing.assert_array_equal(np.where(free.valid, find_items(trie, free.tokens), -1), free.items)
    assert (invalid_rate(beams) == 0).all()
    np.testing.assert_array_equal(find_items(trie, beams.tokens), beams.items)


def test_a_users_beams_do_not_depend_on_who_else_is_in_the_batch(problem, recommend, beams):
    rows = np.array([3, 3, 0, 7, 7, 1, 1, 1])
    shuffled = {'encoder_input_tokens': jnp.asarray(problem.inputs[rows])}
    again = recommend(problem.params, shuffled, build_trie(problem.tokens))
    np.testing.assert_array_equal(again.items, beams.items[rows])
    np.testing.assert_allclose(again.scores, beams.scores[rows], atol=1e-5)


def test_eight_devices_find_what_one_finds(problem, recommend, beams):
    mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
    everywhere, by_user = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ('data',)))
    with jax.set_mesh(mesh):
        sharded = recommend(
            jax.device_put(problem.params, everywhere),
            jax.device_put(problem.batch, by_user),
            jax.device_put(build_trie(problem.tokens), everywhere),
        )
    np.testing.assert_array_equal(sharded.items, beams.items)
    np.testing.assert_allclose(sharded.scores, beams.scores, atol=1e-5)


def test_encoder_and_search_export_as_one_function_for_every_platform(problem, recommend, beams):
    arguments = (problem.params, problem.batch, build_trie(problem.tokens))
    leaves, structure = jax.tree.flatten(arguments)

    def served(*leaves):
        found = recommend(*jax.tree.unflatten(structure, leaves))
        return found.items, found.scores

    exported = export.export(jax.jit(served), platforms=('cpu', 'tpu', 'cuda'))(*leaves)
    again = export.deserialize(exported.serialize())
    assert again.platforms == ('cpu', 'tpu', 'cuda')
    items, scores = again.call(*leaves)
    np.testing.assert_array_equal(items, beams.items)
    np.testing.assert_allclose(scores, beams.scores, atol=1e-5)
