"""The model as engines drive it: batches, losses, scores and searches."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.models.losses import token_cross_entropy
from llmrec_jax.semantic_ids.trie import build_trie
from tests.drawn_parameters import drawn


def catalogue(config, items=30, levels=3):
    """Distinct token rows, one range of tokens a level."""
    rng = np.random.default_rng(4)
    width = (config.vocab_size - 3) // levels
    tokens = 3 + rng.integers(0, width, (items, levels)) + width * np.arange(levels)
    return np.unique(tokens, axis=0)


def test_features_are_those_of_seqio(model, task_batch):
    seqio = pytest.importorskip('seqio')
    tf = pytest.importorskip('tensorflow')
    rows = [
        {name: tokens[row][tokens[row] != 0].astype(np.int32) for name, tokens in task_batch.items()}
        for row in range(5)
    ]
    rows[1]['targets'] = rows[1]['targets'][:2]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(rows),
        output_signature={name: tf.TensorSpec([None], tf.int32) for name in ('inputs', 'targets')},
    )
    converter = model.FEATURE_CONVERTER_CLS(pack=False)
    assert isinstance(converter, seqio.EncDecFeatureConverter)
    converted = list(converter(dataset, {'inputs': 9, 'targets': 4}).as_numpy_iterator())
    expected = {name: np.stack([row[name] for row in converted]) for name in converted[0]}
    padded = {
        name: np.stack([np.pad(row[name], (0, length - len(row[name]))) for row in rows])
        for name, length in (('inputs', 9), ('targets', 4))
    }
    actual = model.convert_features(padded)
    assert actual.keys() == expected.keys()
    for name, feature in expected.items():
        np.testing.assert_array_equal(actual[name], feature)
        assert actual[name].dtype == feature.dtype


@pytest.mark.parametrize('token', [-1, 48])
def test_a_token_outside_the_vocabulary_is_refused(model, task_batch, token):
    targets = task_batch['targets'].copy()
    targets[3, 1] = token
    with pytest.raises(ValueError, match="'targets' holds tokens .* vocabulary of 48"):
        model.convert_features(task_batch | {'targets': targets})


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), smoothing=st.floats(0, 0.9), z_loss=st.floats(0, 1))
def test_cross_entropy_is_that_of_the_smoothed_distribution(seed, smoothing, z_loss):
    rng = np.random.default_rng(seed)
    logits = 5 * rng.standard_normal((2, 3, 7))
    targets = rng.integers(0, 7, (2, 3))
    soft = np.full((2, 3, 7), smoothing / 6)
    np.put_along_axis(soft, targets[..., None], 1 - smoothing, axis=-1)
    log_z = np.log(np.exp(logits).sum(-1))
    log_probabilities = logits - log_z[..., None]
    logs = np.log(soft, out=np.zeros_like(soft), where=soft > 0)
    expected = (soft * (logs - log_probabilities)).sum(-1)
    loss, penalty = token_cross_entropy(
        jnp.asarray(logits, jnp.float32), jnp.asarray(targets), smoothing, z_loss
    )
    np.testing.assert_allclose(loss, expected, atol=1e-4)
    np.testing.assert_allclose(penalty, z_loss * log_z**2, rtol=1e-4, atol=1e-5)


def test_sums_of_microbatches_are_those_of_the_batch(make_model, params, batch):
    model = make_model(z_loss=1e-2, label_smoothing=0.1)
    batch = batch | {'decoder_loss_weights': np.asarray(batch['decoder_loss_weights']).copy()}
    batch['decoder_loss_weights'][1, 2:] = 0

    @jax.jit
    def sums_and_gradient(params, batch):
        def loss(params):
            sums = model.loss_sums(params, batch)
            return sums[0], sums

        gradient, sums = jax.grad(loss, has_aux=True)(params)
        return sums, gradient

    parts = [{name: feature[rows] for name, feature in batch.items()} for rows in (slice(0, 2), slice(2, 5))]
    whole, whole_gradient = sums_and_gradient(params, batch)
    summed, summed_gradient = jax.tree.map(
        lambda *leaves: sum(leaves), *[sums_and_gradient(params, part) for part in parts]
    )
    assert whole[1] == 18
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), summed, whole)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), summed_gradient, whole_gradient)


@pytest.fixture(scope='module')
def loss_sums(model):
    return jax.jit(model.loss_sums)


def test_tokens_without_weight_do_not_count(loss_sums, params, batch):
    weightless = batch | {'decoder_loss_weights': np.zeros_like(batch['decoder_loss_weights'])}
    loss, weight, _ = loss_sums(params, weightless)
    assert loss == 0 and weight == 0


@pytest.mark.parametrize(
    ('factor', 'divisor'),
    [(None, 1), (8.0, 8), ('NUM_REAL_TARGET_TOKENS', 15), ('NUM_TOTAL_TARGET_TOKENS', 20)],
)
def test_loss_is_normalized_as_asked(make_model, params, task_batch, loss_sums, factor, divisor):
    model = make_model(loss_normalizing_factor=factor)
    targets = task_batch['targets'] * (np.arange(4) < np.array([4, 1, 4, 2, 4])[:, None])
    batch = model.convert_features(task_batch | {'targets': targets})
    loss, metrics = jax.jit(model.eval_fn)(params, batch)
    summed, weight, sums = loss_sums(params, batch)
    assert weight == 15
    np.testing.assert_allclose(loss, summed / divisor, rtol=1e-6)
    np.testing.assert_allclose(metrics['loss_per_nonpadding_target_token'].compute(), summed / 15, rtol=1e-6)
    np.testing.assert_allclose(metrics['accuracy'].compute(), sums['accuracy'] / 15, rtol=1e-6)


def test_average_per_sequence_weighs_sequences_alike(make_model, params, task_batch):
    model = make_model(loss_normalizing_factor='AVERAGE_PER_SEQUENCE')
    lengths = [4, 1, 4, 2, 3]
    targets = task_batch['targets'] * (np.arange(4) < np.array(lengths)[:, None])
    batch = model.convert_features(task_batch | {'targets': targets})
    expected = np.mean(-np.asarray(jax.jit(model.score_batch)(params, batch)) / lengths)
    np.testing.assert_allclose(jax.jit(model.eval_fn)(params, batch)[0], expected, rtol=1e-5)
    with pytest.raises(ValueError, match='AVERAGE_PER_SEQUENCE'):
        make_model(loss_normalizing_factor='PER_SEQUENCE')


def test_scores_are_sums_of_log_probabilities(make_model, params, batch):
    model = make_model(label_smoothing=0.2, z_loss=0.1)
    log_probabilities = np.asarray(jax.nn.log_softmax(jax.jit(model.compute_logits)(params, batch)))
    picked = np.take_along_axis(log_probabilities, batch['decoder_target_tokens'][..., None], -1)[..., 0]
    np.testing.assert_allclose(jax.jit(model.score_batch)(params, batch), picked.sum(-1), rtol=1e-5)


@pytest.mark.parametrize('scan_layers', [False, True])
def test_recommended_items_carry_the_score_of_their_tokens(make_model, task_batch, config, scan_layers):
    tokens = catalogue(config)
    model = make_model(decode_fn=SemanticIdSearch(beam_size=6), scan_layers=scan_layers)
    batch = model.convert_features({'inputs': task_batch['inputs']})
    shapes = {'encoder_input_tokens': (5, 9), 'decoder_input_tokens': (5, 3)}
    params = drawn(model, shapes)
    beams = jax.jit(model.recommend)(params, batch, build_trie(tokens))
    assert beams.valid.all()
    assert (np.diff(beams.scores, axis=1) <= 0).all()
    score = jax.jit(model.score_batch)
    for beam in range(6):
        np.testing.assert_array_equal(tokens[beams.items[:, beam]], beams.tokens[:, beam])
        forced = {'inputs': task_batch['inputs'], 'targets': np.asarray(beams.tokens[:, beam])}
        scores = score(params, model.convert_features(forced))
        np.testing.assert_allclose(beams.scores[:, beam], scores, atol=1e-4)


def test_predictions_come_in_the_order_of_t5x(make_model, params, batch, config):
    trie = build_trie(catalogue(config))
    model = make_model(decode_fn=SemanticIdSearch(beam_size=6))
    beams = jax.jit(model.recommend)(params, batch, trie)
    searching = dataclasses.replace(model, trie=trie)
    decodes, aux = jax.jit(searching.predict_batch_with_aux)(params, batch, jax.random.key(0))
    np.testing.assert_array_equal(decodes[:, -1], beams.tokens[:, 0])
    assert (np.diff(aux['scores'], axis=1) >= 0).all()
    np.testing.assert_array_equal(aux['items'][:, ::-1], beams.items)
    best_only = dataclasses.replace(searching, return_all_decodes=False)
    best, aux = jax.jit(best_only.predict_batch_with_aux)(params, batch)
    np.testing.assert_array_equal(best, beams.tokens[:, 0])
    np.testing.assert_array_equal(jax.jit(best_only.predict_batch)(params, batch), best)
    assert aux['items'].shape == aux['valid'].shape == aux['scores'].shape == (5,)


def test_recommending_without_a_search_is_refused(model, params, batch):
    with pytest.raises(ValueError, match='decode_fn'):
        model.recommend(params, batch, None)


def test_importing_the_models_imports_no_tensorflow():
    code = (
        'import sys; import llmrec_jax.models.encoder_decoder, llmrec_jax.models.t5; '
        "assert not {'tensorflow', 'seqio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, '-c', code], check=True)
