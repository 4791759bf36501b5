"""Every registered model trains and predicts under both engines, and does the same under both."""

import dataclasses
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import llmrec_jax.models
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import Adafactor, AdamW
from llmrec_jax.training.schedules import Constant
from tests.t5x.engines import embedded_losses, t5x_losses, t5x_predictions
from tests.t5x.registered_models import LENGTHS, REGISTERED

MESH = MeshShape(data=4, model=2)
# A large eps, because Adam makes a whole step of the rounding of a gradient that is all but zero.
OPTIMIZER = AdamW(Constant(1e-3), eps=1e-4, weight_decay=0.01)
STEPS = 2
# What T5X calls on a model; read in its train, trainer, utils, eval and infer.
PROTOCOL = ('loss_fn', 'eval_fn', 'predict_batch', 'predict_batch_with_aux', 'score_batch')


@pytest.fixture(params=REGISTERED, scope='module')
def registered(request):
    entry = REGISTERED[request.param]
    model = entry.make()
    batches = [model.convert_features(entry.task_batch(seed, 8)) for seed in range(STEPS)]
    shapes = {name: array.shape for name, array in batches[0].items()}
    params = jax.device_get(
        jax.jit(lambda: model.get_initial_variables(jax.random.key(0), shapes))()['params']
    )
    return model, entry, batches, params


def test_the_model_speaks_the_protocol_and_learns(registered):
    model, _, batches, params = registered
    assert all(callable(getattr(model, name)) for name in PROTOCOL)
    losses, _ = embedded_losses(model, OPTIMIZER, params, [batches[0]] * 3, MESH)
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_the_store_and_seqio_feed_it_the_same_features(registered):
    import tensorflow as tf

    model, entry, batches, _ = registered
    task = entry.task_batch(0, 8)
    unpadded = [{name: rows[row][rows[row] > 0] for name, rows in task.items()} for row in range(8)]
    signature = {name: tf.TensorSpec([None], tf.int32) for name in task}
    dataset = tf.data.Dataset.from_generator(lambda: iter(unpadded), output_signature=signature)
    converted = model.FEATURE_CONVERTER_CLS(pack=False)(dataset, LENGTHS)
    made = list(converted.as_numpy_iterator())
    assert set(made[0]) == set(batches[0])
    for name, expected in batches[0].items():
        np.testing.assert_array_equal(np.stack([row[name] for row in made]), expected)


@pytest.mark.parametrize('optimizer', [OPTIMIZER, Adafactor(Constant(1e-2), min_dim_size_to_factor=16)])
def test_t5x_makes_the_same_updates(registered, optimizer):
    pytest.importorskip('t5x')
    from llmrec_jax.t5x.optimizer import wrap

    model, _, batches, params = registered
    driven = dataclasses.replace(
        model, optimizer_def=wrap(optimizer), loss_normalizing_factor='NUM_REAL_TARGET_TOKENS'
    )
    expected, final = embedded_losses(model, optimizer, params, batches, MESH)
    found, theirs, _ = t5x_losses(driven, params, batches, MESH)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), final, theirs)


def test_t5x_predicts_the_same(registered):
    pytest.importorskip('t5x')
    model, _, batches, params = registered
    tokens, aux = t5x_predictions(model, params, batches[0], MESH)
    expected = model.recommend(jax.tree.map(jnp.asarray, params), batches[0], model.trie)
    # T5X's order is best last.
    np.testing.assert_array_equal(np.asarray(tokens)[:, ::-1], expected.tokens)
    np.testing.assert_array_equal(np.asarray(aux['items'])[:, ::-1], expected.items)
    np.testing.assert_allclose(np.asarray(aux['scores'])[:, ::-1], expected.scores, atol=1e-5)


def test_every_model_class_is_registered():
    classes = {name.split(',')[0] for name in REGISTERED}
    found = set()
    for module in pkgutil.walk_packages(llmrec_jax.models.__path__, 'llmrec_jax.models.'):
        loaded = __import__(module.name, fromlist=['_'])
        found |= {
            name
            for name, value in vars(loaded).items()
            if isinstance(value, type) and value.__module__ == module.name and hasattr(value, 'loss_fn')
        }
    assert found <= classes, f'register {found - classes} in tests/t5x/registered_models.py'
