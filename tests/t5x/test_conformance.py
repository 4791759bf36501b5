"""Every registered model trains and predicts under both engines, and does the same under both."""

import dataclasses
import inspect
import pkgutil

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import llmrec_jax.models
from llmrec_jax.models.generative_sequential.code_loss import code_losses
from llmrec_jax.models.generative_sequential.model import GenerativeSequentialModel
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import Adafactor, AdamW
from llmrec_jax.training.schedules import Constant
from tests.t5x.engines import embedded_losses, t5x_losses, t5x_predictions
from tests.t5x.registered_models import CODES, N_ITEMS, REGISTERED, with_tables

MESH = MeshShape(data=4, model=2)
# A large eps, because Adam makes a whole step of the rounding of a gradient that is all but zero.
OPTIMIZER = AdamW(Constant(1e-3), eps=1e-4, weight_decay=0.01)
STEPS = 2
# What T5X calls on a model; read in its train, trainer, utils, eval and infer.
PROTOCOL = ('loss_fn', 'eval_fn', 'predict_batch', 'predict_batch_with_aux', 'score_batch')


# Of a class that stands in several forms the first is tried with every change, and the others every night.
FIRST = {name.split(',')[0]: name for name in reversed(REGISTERED)}.values()
FORMS = [pytest.param(name, marks=() if name in FIRST else pytest.mark.slow) for name in REGISTERED]


@pytest.fixture(params=FORMS, scope='module')
def registered(request):
    entry = REGISTERED[request.param]
    model = entry.make()
    batches = [model.convert_features(entry.task_batch(seed, 8)) for seed in range(STEPS)]
    shapes = {name: array.shape for name, array in batches[0].items()}
    params = jax.device_get(
        jax.jit(lambda: model.get_initial_variables(jax.random.key(0), shapes))()['params']
    )
    params = with_tables(params)
    return model, entry, batches, params


def test_the_model_speaks_the_protocol_and_learns(registered):
    model, _, batches, params = registered
    assert all(callable(getattr(model, name)) for name in PROTOCOL)

    @jax.jit
    def evaluated(params):
        loss, metrics = model.eval_fn(params, batches[0])
        return loss, metrics['loss_per_nonpadding_target_token'].compute()

    loss, mean = evaluated(params)
    # T5X's own default: the sum over what is predicted.
    assert np.isfinite(loss) and loss > mean > 0
    losses, final = embedded_losses(model, OPTIMIZER, params, [batches[0]] * 8, MESH)
    assert np.isfinite(losses).all()
    assert evaluated(final)[1] < mean


def test_the_loss_is_the_sum_that_the_embedded_engine_adds_up(registered):
    model, _, batches, params = registered
    driven = dataclasses.replace(model, loss_normalizing_factor='NUM_REAL_TARGET_TOKENS')
    key = jax.random.PRNGKey(3)  # As T5X has them; the embedded engine's are typed.

    def mean(params, batch):
        total, weight, _ = model.loss_sums(params, batch, jax.random.wrap_key_data(key))
        return total / weight

    expected = jax.jit(jax.value_and_grad(mean))(params, batches[0])
    (found, metrics), gradient = jax.jit(jax.value_and_grad(driven.loss_fn, has_aux=True))(
        params, batches[0], key
    )
    np.testing.assert_allclose(found, expected[0], rtol=1e-6)
    np.testing.assert_allclose(metrics['loss_per_nonpadding_target_token'].compute(), found, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), gradient, expected[1])


def test_every_parameter_has_logical_axes(registered):
    model, _, batches, params = registered
    shapes = {name: array.shape for name, array in batches[0].items()}
    variables = jax.eval_shape(lambda: model.get_initial_variables(jax.random.key(0), shapes))
    axes = flax.traverse_util.flatten_dict(variables['params_axes'], sep='/')
    named = {name.removesuffix('_axes'): len(leaf.names) for name, leaf in axes.items()}
    expected = flax.traverse_util.flatten_dict(jax.tree.map(np.ndim, params), sep='/')
    assert named == expected


def test_the_store_and_seqio_feed_it_the_same_features(registered):
    import tensorflow as tf

    model, entry, batches, _ = registered
    task = entry.task_batch(0, 8)
    unpadded = [{name: rows[row][rows[row] > 0] for name, rows in task.items()} for row in range(8)]
    signature = {name: tf.TensorSpec([None], tf.int32) for name in task}
    dataset = tf.data.Dataset.from_generator(lambda: iter(unpadded), output_signature=signature)
    converted = model.FEATURE_CONVERTER_CLS(pack=False)(dataset, entry.lengths)
    made = list(converted.as_numpy_iterator())
    assert set(made[0]) == set(batches[0])
    for name, expected in batches[0].items():
        np.testing.assert_array_equal(np.stack([row[name] for row in made]), expected)


@pytest.mark.parametrize('optimizer', [OPTIMIZER, Adafactor(Constant(1e-2), min_dim_size_to_factor=16)])
def test_t5x_makes_the_same_updates(registered, optimizer):
    pytest.importorskip('t5x')
    from llmrec_jax.t5x.optimizer import wrap

    model, entry, batches, params = registered
    if entry.draws:
        pytest.skip('the engines draw from different keys')
    driven = dataclasses.replace(
        model, optimizer_def=wrap(optimizer), loss_normalizing_factor='NUM_REAL_TARGET_TOKENS'
    )
    expected, final = embedded_losses(model, optimizer, params, batches, MESH)
    found, theirs, _ = t5x_losses(driven, params, batches, MESH)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    final, theirs = (flax.traverse_util.flatten_dict(tree, sep='/') for tree in (final, theirs))
    assert final.keys() == theirs.keys()
    for name, leaf in final.items():
        # A softmax over keys does not see what is added to all of them: that gradient is rounding alone.
        if not name.endswith('key/bias'):
            np.testing.assert_allclose(leaf, theirs[name], atol=1e-5)


def test_t5x_predicts_the_same(registered):
    pytest.importorskip('t5x')
    model, _, batches, params = registered
    tokens, aux = t5x_predictions(model, params, batches[0], MESH)
    if hasattr(model, 'recommend'):
        expected = model.recommend(jax.tree.map(jnp.asarray, params), batches[0], model.trie)
        tokens_of, items, scores = expected.tokens, expected.items, expected.scores
    else:
        items, scores = best_by_hand(model, params, batches[0])
        tokens_of = items + 1
    # T5X's order is best last.
    np.testing.assert_array_equal(np.asarray(tokens)[:, ::-1], tokens_of)
    np.testing.assert_array_equal(np.asarray(aux['items'])[:, ::-1], items)
    np.testing.assert_allclose(np.asarray(aux['scores'])[:, ::-1], scores, atol=1e-5)
    assert np.asarray(aux['valid']).all()


def scores_by_hand(model, params, batch):
    """Inner products of what the model makes of each question with all items' vectors.

    Of a model that answers with codes, what its loss says of each item by itself.
    """
    ranking = getattr(model, 'recommender', model)
    if type(model) is GenerativeSequentialModel:
        return code_scores_by_hand(model, params, batch)

    @jax.jit
    def scores(params, batch):
        asked = batch['query'] if 'query' in batch else batch['items'][:, :-1]
        return ranking.states(params, asked) @ ranking.item_vectors(params).T

    return np.asarray(scores(params, batch))


def code_scores_by_hand(model, params, batch):
    params = jax.tree.map(jnp.asarray, params)
    states = jax.jit(model.encoded)(params, batch['items'][:, :-1])
    heads, vectors = model.network.apply({'params': params}, method='decoding_parts')
    items = jnp.tile(jnp.arange(model.n_items), len(states))
    repeated = jnp.repeat(states, model.n_items, axis=0)
    losses = code_losses(heads, model.heads.catalogue, vectors, repeated, items, 0.0, None)
    return -np.asarray(losses.sum(axis=0)).reshape(len(states), -1)


def best_by_hand(model, params, batch):
    """Items and scores, best first, by sorting."""
    scores = scores_by_hand(model, params, batch)
    order = np.argsort(-scores, axis=1)[:, : model.list_length]
    return order, np.take_along_axis(scores, order, axis=1)


def test_a_score_is_the_log_probability_of_what_is_asked_for(registered):
    model, _, batches, params = registered
    if hasattr(model, 'recommend'):
        pytest.skip('see tests/models/test_candidate_scores.py')
    batch = batches[0]
    target = batch['item'] if 'item' in batch else batch['items'][:, -1]
    expected = jax.nn.log_softmax(scores_by_hand(model, params, batch))[np.arange(8), target - 1]
    np.testing.assert_allclose(jax.jit(model.score_batch)(params, batch), expected, rtol=1e-4, atol=1e-4)


def test_seen_items_are_left_out_where_the_model_says_so(registered):
    model, _, batches, params = registered
    if not hasattr(model, 'seen_items'):
        pytest.skip('a text has seen nothing')
    removing = dataclasses.replace(model, seen_items='removed')
    with pytest.raises(ValueError, match="'seen' in the batch"):
        jax.eval_shape(removing.predict_batch, params, batches[0])
    _, kept = jax.jit(model.predict_batch_with_aux)(params, batches[0])
    # What is best for a user is what that user has seen; one user has seen all but one item, one nothing.
    seen = np.asarray(kept['items'])[:, -2:] + 1
    n_items = len(CODES) if hasattr(model, 'recommend') else N_ITEMS
    seen = np.pad(seen, ((0, 0), (0, n_items)))
    seen[6, 2 : 1 + n_items] = np.arange(1, n_items)
    seen[7] = 0
    _, found = jax.jit(removing.predict_batch_with_aux)(params, {**batches[0], 'seen': seen.astype(np.int32)})
    items = np.asarray(found['items'])
    for row in range(8):
        assert not set(items[row] + 1) & (set(seen[row]) - {0})
    np.testing.assert_array_equal(items[7], kept['items'][7])
    assert set(items[6].tolist()) <= {n_items - 1, -1}
    np.testing.assert_array_equal(np.asarray(found['valid']), items >= 0)
    if hasattr(model, 'recommend'):
        return
    # The rest moves up.
    left = kept['items'].shape[1] - 2
    np.testing.assert_array_equal(items[:6, -left:], np.asarray(kept['items'])[:6, :left])


def test_every_model_class_is_registered():
    classes = {name.split(',')[0] for name in REGISTERED}
    found = set()
    for module in pkgutil.walk_packages(llmrec_jax.models.__path__, 'llmrec_jax.models.'):
        loaded = __import__(module.name, fromlist=['_'])
        found |= {
            name
            for name, value in vars(loaded).items()
            if isinstance(value, type)
            and value.__module__ == module.name
            and hasattr(value, 'loss_sums')
            and not issubclass(value, nn.Module)
            and not inspect.isabstract(value)
        }
    assert found <= classes, f'register {found - classes} in tests/t5x/registered_models.py'
