"""The search around the real network: equal to scoring the whole catalogue, on one device and on eight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.decoding.beams import invalid_rate
from llmrec_jax.decoding.exhaustive import rank_items
from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import Transformer
from llmrec_jax.semantic_ids.trie import build_trie, find_items
from tests.decoding.t5_problem import T5Problem, t5_problem


def teacher_forced_scores(problem: T5Problem) -> jax.Array:
    """log P(item | user) through the training forward pass: neither cache, nor trie, nor beams."""
    users, items = len(problem.inputs), len(problem.tokens)
    model = EncoderDecoderModel(module=Transformer(problem.config))
    batch = model.convert_features(
        {'inputs': np.repeat(problem.inputs, items, axis=0), 'targets': np.tile(problem.tokens, (users, 1))}
    )
    return jax.jit(model.score_batch)(problem.params, batch).reshape(users, items)


@pytest.mark.parametrize('scan_layers', [False, True])
def test_a_beam_as_wide_as_the_catalogue_equals_scoring_every_item(scan_layers):
    problem = t5_problem(scan_layers=scan_layers)
    trie = build_trie(problem.tokens)
    beams = problem.recommend(SemanticIdSearch(beam_size=300))(problem.params, problem.batch, trie)
    exact = rank_items(teacher_forced_scores(problem), jnp.asarray(problem.tokens), beam_size=300)
    assert beams.valid.all()
    np.testing.assert_allclose(beams.scores, exact.scores, atol=1e-4)
    # Single precision may swap neighbours that are closer than its rounding; nothing else may move.
    moved = np.asarray(beams.items != exact.items)
    gaps = -np.diff(np.asarray(exact.scores), axis=1)
    near = np.pad(gaps < 1e-5, ((0, 0), (0, 1))) | np.pad(gaps < 1e-5, ((0, 0), (1, 0)))
    assert (~moved | near).all()
    assert moved.mean() < 0.02


def test_an_untrained_model_makes_up_items_unless_it_is_constrained():
    problem = t5_problem(users=4)
    trie = build_trie(problem.tokens)
    arguments = (problem.params, problem.batch, trie)
    free = problem.recommend(SemanticIdSearch(beam_size=10, constrained=False))(*arguments)
    assert (np.asarray(invalid_rate(free)) > 0).all()
    np.testing.assert_array_equal(np.where(free.valid, find_items(trie, free.tokens), -1), free.items)
    held = problem.recommend(SemanticIdSearch(beam_size=10))(*arguments)
    assert (invalid_rate(held) == 0).all()
    np.testing.assert_array_equal(find_items(trie, held.tokens), held.items)


def test_users_of_a_batch_do_not_touch_each_other():
    problem = t5_problem(users=3)
    recommend, trie = problem.recommend(SemanticIdSearch(beam_size=8)), build_trie(problem.tokens)
    together = recommend(problem.params, problem.batch, trie)
    for user in range(3):
        alone = recommend(
            problem.params, {'encoder_input_tokens': jnp.asarray(problem.inputs[user : user + 1])}, trie
        )
        np.testing.assert_array_equal(alone.items[0], together.items[user])
        np.testing.assert_allclose(alone.scores[0], together.scores[user], atol=1e-5)


def test_eight_devices_find_what_one_finds():
    problem = t5_problem(users=8)
    recommend, trie = problem.recommend(SemanticIdSearch(beam_size=6)), build_trie(problem.tokens)
    alone = recommend(problem.params, problem.batch, trie)
    mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
    everywhere, by_user = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ('data',)))
    with jax.set_mesh(mesh):
        sharded = recommend(
            jax.device_put(problem.params, everywhere),
            jax.device_put(problem.batch, by_user),
            jax.device_put(trie, everywhere),
        )
    np.testing.assert_array_equal(sharded.items, alone.items)
    np.testing.assert_allclose(sharded.scores, alone.scores, atol=1e-5)


def test_encoder_and_search_export_as_one_function_for_every_platform():
    problem = t5_problem()
    recommend = problem.recommend(SemanticIdSearch(beam_size=6))
    arguments = (problem.params, problem.batch, build_trie(problem.tokens))
    leaves, structure = jax.tree.flatten(arguments)

    def served(*leaves):
        beams = recommend(*jax.tree.unflatten(structure, leaves))
        return beams.items, beams.scores

    exported = export.export(jax.jit(served), platforms=('cpu', 'tpu', 'cuda'))(*leaves)
    items, scores = export.deserialize(exported.serialize()).call(*leaves)
    expected = recommend(*arguments)
    np.testing.assert_array_equal(items, expected.items)
    np.testing.assert_allclose(scores, expected.scores, atol=1e-5)
