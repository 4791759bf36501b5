"""The model as engines drive it: losses, scores of candidates, and searches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.decoding.beam import Beam
from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.models.decoder_only.features import LOSS_PLACES
from llmrec_jax.models.decoder_only.flops import layer_weights
from llmrec_jax.models.t5.layer_stack import stack_layers
from llmrec_jax.semantic_ids.trie import build_trie
from tests.models.decoder_only.small import EVERYTHING, LLAMA, model, random_params, task_batch

PARAMS = random_params(LLAMA)
STARTS = pytest.mark.parametrize('start', [7, None])


@STARTS
def test_the_loss_is_that_of_all_logits(start):
    decoder = model(start_token=start, label_smoothing=0.1, z_loss=0.01)
    batch = decoder.convert_features(task_batch())
    loss = jax.jit(jax.value_and_grad(lambda params, batch: decoder.loss_sums(params, batch)[0]))
    everywhere = {name: feature for name, feature in batch.items() if name != LOSS_PLACES}
    (found, gradient), (expected, expected_gradient) = loss(PARAMS, batch), loss(PARAMS, everywhere)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), gradient, expected_gradient)
    weights = np.asarray(batch['decoder_loss_weights'])
    assert weights.sum() == sum(np.flatnonzero(row).max() + 1 for row in task_batch()['targets'])
    assert batch[LOSS_PLACES].shape == (4, 4)


def test_tokens_of_the_inputs_count_where_that_is_asked_for():
    decoder = model(loss_on_targets_only=False)
    batch = decoder.convert_features(task_batch())
    logits = jax.jit(decoder.compute_logits)(PARAMS, batch)
    targets = batch['decoder_target_tokens']
    log_probs = np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), targets[..., None], axis=2)[..., 0]
    loss, weight, _ = jax.jit(decoder.loss_sums)(PARAMS, batch)
    real = batch['decoder_loss_weights'] == 1
    assert weight == real.sum() > (targets != 0).sum() - 1
    np.testing.assert_allclose(loss, -log_probs[real].sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ('start', 'mutual', 'scanned'),
    [(7, False, False), (None, True, True)],
    ids=['causal, loop', 'prefix, scan'],
)
def test_candidates_score_as_targets_do(start, mutual, scanned):
    config = dataclasses.replace(EVERYTHING, scan_layers=scanned)
    params = random_params(EVERYTHING)
    params = stack_layers(params) if scanned else params
    decoder = model(config, start_token=start, inputs_bidirectional_attention=mutual)
    rng = np.random.default_rng(3)
    candidates = rng.integers(1, 40, (4, 3, 4)) * (np.arange(4) < rng.integers(1, 5, (4, 3, 1)))
    candidates[1, 2] = 0
    candidates[2, 0, :3] = [5, 0, 6]
    batch = task_batch()
    inputs = decoder.convert_features({'inputs': batch['inputs']})
    scores = np.array(
        jax.jit(lambda params: decoder.score_candidates(params, inputs, candidates, chunk_size=2))(params)
    )
    assert scores[1, 2] == -np.inf
    score = jax.jit(decoder.score_batch)
    for place in range(3):
        features = decoder.convert_features({'inputs': batch['inputs'], 'targets': candidates[:, place]})
        expected = np.array(score(params, features))
        real = candidates[:, place].any(axis=1)
        np.testing.assert_allclose(scores[real, place], expected[real], atol=1e-4)


def test_the_first_step_is_that_of_one_token():
    decoder = model(start_token=None)
    inputs = decoder.convert_features({'inputs': task_batch()['inputs']})
    choices = np.array([3, 9, 11])
    candidates = np.broadcast_to(choices[None, :, None], (4, 3, 1))
    found = jax.jit(decoder.first_step_log_probs)(PARAMS, inputs, choices)
    expected = jax.jit(decoder.score_candidates)(PARAMS, inputs, candidates)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@STARTS
def test_texts_are_those_of_reading_everything_at_once(start):
    decoder = model(start_token=start)
    batch = task_batch()
    inputs = decoder.convert_features({'inputs': batch['inputs']})
    found = jax.jit(lambda params: decoder.generate(params, inputs, Greedy(3, end_token=39)))(PARAMS)
    texts = np.asarray(found.tokens)[:, 0]
    assert (texts != 39).all() and len(np.unique(texts)) > 4
    features = decoder.convert_features({'inputs': batch['inputs'], 'targets': texts})
    logits = jax.jit(decoder.compute_logits)(PARAMS, features)
    likeliest = np.asarray(jnp.argmax(logits, axis=2))
    weighted = features['decoder_loss_weights'] == 1
    np.testing.assert_array_equal(likeliest[weighted], texts.ravel())
    score = jax.jit(decoder.score_batch)(PARAMS, features)
    np.testing.assert_allclose(found.scores[:, 0], score, atol=1e-4)


def test_a_catalogue_of_names_is_ranked_by_likelihood():
    decoder = model(decode_fn=NameSearch(4, end_token=1), start_token=None)
    names = np.array([[5, 6, 1, 0], [5, 1, 0, 0], [9, 8, 7, 1], [5, 6, 7, 1]])
    inputs = decoder.convert_features({'inputs': task_batch()['inputs']})
    trie = build_trie(names)
    beams = jax.jit(lambda params: decoder.recommend(params, inputs, trie))(PARAMS)
    candidates = np.broadcast_to(names, (4, *names.shape))
    scores = np.asarray(jax.jit(decoder.score_candidates)(PARAMS, inputs, candidates))
    np.testing.assert_array_equal(beams.items, np.argsort(-scores, axis=1))
    np.testing.assert_allclose(beams.scores, -np.sort(-scores, axis=1), atol=1e-4)


def test_predictions_are_best_last():
    decoder = model(decode_fn=Beam(3, 2, end_token=1), start_token=None)
    batch = decoder.convert_features(task_batch())
    tokens, aux = jax.jit(decoder.predict_batch_with_aux)(PARAMS, batch)
    assert tokens.shape == (4, 2, 3) and (np.diff(aux['scores'], axis=1) >= 0).all()


def test_variables_have_axes_for_every_parameter():
    decoder = model(EVERYTHING)
    shapes = {'decoder_input_tokens': (2, 5)}
    variables = jax.eval_shape(lambda key: decoder.get_initial_variables(key, shapes), jax.random.key(0))
    axes = variables['params_axes']['decoder']['layers_0']['self_attention']
    assert axes['key']['kernel_axes'].names == ('embed', 'joined_kv')
    assert axes['key']['bias_axes'].names == ('joined_kv',)
    assert axes['query_norm']['scale_axes'].names == ('kv',)
    assert jax.tree.structure(variables['params']) == jax.tree.structure(random_params(EVERYTHING))


def test_flops_are_six_a_weight_and_token_and_the_attention():
    decoder = model()
    batch = decoder.convert_features(task_batch())
    tokens, keys = 4 * 11, 11
    attention = 12 * keys * 4 * 6 * 2
    expected = tokens * (6 * 2 * layer_weights(LLAMA) + attention) + 4 * 4 * 6 * 16 * 40
    assert decoder.train_flops(batch) == expected


@pytest.mark.parametrize(
    'settings',
    [{'start_token': 40}, {'label_smoothing': 1.0}, {'seen_items': 'removed', 'decode_fn': Greedy(3)}],
)
def test_impossible_models_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        model(**settings)


def test_a_token_outside_the_vocabulary_is_refused():
    batch = task_batch()
    batch['targets'][3, 0] = 40
    with pytest.raises(ValueError, match="'targets' holds tokens .* vocabulary of 40"):
        model().convert_features(batch)
