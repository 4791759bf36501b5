"""A teacher's draws in the place of targets, and what it does not recommend."""

import jax
import jax.numpy as jnp
import numpy as np

from llmrec_jax.models.generative_sequential.item_level import ItemLevelModel
from llmrec_jax.systems.generative_sequential.training_stages import replaced_targets
from tests.models.generative_sequential.small import TABLE, drawn_params, small_model

N = TABLE.n_items


def test_targets_are_replaced_by_draws_from_the_softmax():
    rng = np.random.default_rng(0)
    targets = np.tile(np.array([7, 0, 7]), (4000, 1))
    items = np.tile(np.array([2, 5, 9]), (4000, 3, 1))
    scores = np.log(np.tile(np.array([0.6, 0.4, 0.0]), (4000, 3, 1)), where=[True, True, False],
                    out=np.full((4000, 3, 3), -np.inf))  # fmt: skip
    scores[:, 2] = -np.inf
    found = replaced_targets(targets, items, scores, 0.5, rng)
    # Padding, and where nothing is left to recommend, stay as they are.
    assert (found[:, 1] == 0).all() and (found[:, 2] == 7).all()
    shares = [np.mean(found[:, 0] == token) for token in (7, 3, 6, 10)]
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2, 0.0], atol=0.03)
    assert (replaced_targets(targets, items, scores, 0.0, rng) == targets).all()


def test_the_teacher_recommends_nothing_of_the_history_so_far():
    model = ItemLevelModel.of(small_model())
    params = drawn_params(model)
    batch = model.convert_features({
        'items': np.array([[4, 9, 2, 5, 4, 0]]),
        'targets': np.array([[9, 2, 7, 4, 30, 0]]),
        'items_segment_ids': np.array([[1, 1, 1, 2, 2, 0]]),
    })  # fmt: skip
    items, scores = jax.jit(model.best_unseen, static_argnums=2)(params, batch, N)
    items, scores = np.asarray(items)[0], np.asarray(scores)[0]
    left = [set(row[np.isfinite(score)].tolist()) for row, score in zip(items, scores, strict=True)]
    everything = set(range(N))
    seen = [{3}, {3, 8}, {3, 8, 1}, {4}, {4, 3}]
    assert [everything - found for found in left[:5]] == seen
    # What it says of a history is what it says of it alone.
    alone = np.asarray(model.scores(params, jnp.array([[0, 0, 0, 4, 9, 2]])))[0, :N]
    order = [item for item in np.argsort(-alone).tolist() if item not in seen[2]]
    assert items[2, : N - 3].tolist() == order
    np.testing.assert_allclose(scores[2, : N - 3], alone[order], rtol=1e-4, atol=1e-5)


def test_it_has_the_parameters_of_the_generative_model():
    model = small_model()
    shapes = [
        jax.eval_shape(lambda one=one: one.get_initial_variables(jax.random.key(0), {})['params'])
        for one in (model, ItemLevelModel.of(model))
    ]
    assert shapes[0] == shapes[1]
    params, batch = drawn_params(model), model.convert_features({'items': np.array([[4, 9, 2, 7, 0]])})
    total, weight, sums = jax.jit(ItemLevelModel.of(model).loss_sums)(params, batch)
    both = jax.jit(small_model(item_loss_weight=1.0).loss_sums)(params, batch)
    assert weight == 3 and not sums
    np.testing.assert_allclose(total, both[2]['items'], rtol=1e-6)
