"""A decoder with items' vectors in its prompts: what stands at placeholders, and the losses beside."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.models.decoder_only.model import DecoderOnlyModel
from llmrec_jax.models.decoder_only.transformer import DecoderOnlyTransformer
from llmrec_jax.models.injected_decoder import (
    CalrecContrast,
    InjectedDecoder,
    InjectedDecoderModel,
    ItemAndUserContrast,
)
from llmrec_jax.models.injected_decoder.contrast import info_nce
from llmrec_jax.models.injected_decoder.model import HISTORY, ITEMS, TARGET_ITEM
from llmrec_jax.models.injected_decoder.network import PROJECTOR, TABLE, TEMPERATURES
from tests.models.decoder_only.small import LLAMA, random_params

N_ITEMS, DIM, PLACEHOLDER = 9, 5, 30
SMALL = dataclasses.replace(LLAMA, num_layers=1)
CONTRASTS = pytest.mark.parametrize(
    'contrast', [CalrecContrast(), ItemAndUserContrast()], ids=['calrec', 'rslm']
)
STARTS = pytest.mark.parametrize('start', [7, None])


def model(contrast=None, **settings) -> InjectedDecoderModel:
    temperatures = () if contrast is None else (0.5, 0.25)
    module = InjectedDecoder(SMALL, temperatures=temperatures)
    return InjectedDecoderModel(module, contrast=contrast, **settings).for_catalogue(
        N_ITEMS, DIM, PLACEHOLDER
    )


def filled(decoder: InjectedDecoderModel, seed=0):
    """The plain decoder's random parameters, a random projector and a random table."""
    shapes = {'decoder_input_tokens': (1, 2), ITEMS: (1, 1)}
    drawn = jax.eval_shape(lambda: decoder.get_initial_variables(jax.random.key(0), shapes))['params']
    rng = np.random.default_rng(seed)
    new = jax.tree.map(
        lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape), jnp.float32),
        {name: drawn[name] for name in (TABLE, PROJECTOR)},
    )
    warmth = {name: jnp.log(jnp.asarray([0.5, 0.25])) for name in (TEMPERATURES,) if name in drawn}
    return {**random_params(SMALL), **new, **warmth}


def task_batch():
    """Three rows with two, one and no placeholder."""
    return {
        'inputs': np.array([[3, 30, 4, 5, 30, 6], [8, 9, 30, 10, 0, 0], [11, 12, 13, 14, 15, 0]]),
        'targets': np.array([[20, 21, 1], [22, 1, 0], [23, 24, 1]]),
        ITEMS: np.array([[2, 9], [5, 0], [0, 0]]),
        HISTORY: np.array([[3], [2], [2]]),
        TARGET_ITEM: np.array([[4], [7], [4]]),
    }


def plain(**settings) -> DecoderOnlyModel:
    return DecoderOnlyModel(DecoderOnlyTransformer(SMALL), **settings)


def test_a_placeholders_own_vector_in_its_place_changes_nothing():
    decoder = model(start_token=7)
    params = filled(decoder)
    own = params['token_embedder']['embedding'][PLACEHOLDER]
    params[PROJECTOR]['wo'] = {'kernel': 0 * params[PROJECTOR]['wo']['kernel'], 'bias': own}
    batch = decoder.convert_features(task_batch())
    found = jax.jit(decoder.compute_logits)(params, batch)
    expected = jax.jit(plain(start_token=7).compute_logits)(random_params(SMALL), batch)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    other = jax.jit(decoder.compute_logits)(filled(decoder), batch)
    changed = np.abs(np.asarray(other - expected)).max(axis=(1, 2)) > 1e-2
    np.testing.assert_array_equal(changed, [True, True, False])


def test_each_placeholder_is_its_own_item():
    decoder = model(start_token=None)
    params = filled(decoder)
    tokens, items = (jnp.asarray(task_batch()[name]) for name in ('inputs', ITEMS))
    found = decoder.module.apply({'params': params}, tokens, items, method='embed_with_items')
    expected = np.array(decoder.module.apply({'params': params}, tokens, method='embed'))
    of = lambda item: decoder.module.apply({'params': params}, jnp.asarray([item]), method='projected')[0]  # noqa: E731
    expected[0, 1], expected[0, 4], expected[1, 2] = of(2), of(9), of(5)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not np.allclose(of(2), of(9))


def test_what_is_generated_and_scored_has_read_the_items():
    decoder = model(start_token=7)
    params, batch = filled(decoder), task_batch()
    inputs = {name: batch[name] for name in ('inputs', ITEMS)}
    features = decoder.convert_features(inputs)
    candidates = np.stack([batch['targets'], batch['targets'][::-1]], axis=1)
    scores = jax.jit(decoder.score_candidates)(params, features, candidates)
    for place in range(2):
        whole = decoder.convert_features({**batch, 'targets': candidates[:, place]})
        expected = jax.jit(decoder.score_batch)(params, whole)
        np.testing.assert_allclose(scores[:, place], expected, atol=1e-4)
    first = jax.jit(decoder.generate, static_argnums=2)(params, features, Greedy(max_length=3, end_token=1))
    logits = jax.jit(decoder.compute_logits)(params, decoder.convert_features(batch))
    answers = np.asarray(features['decoder_causal_attention']).sum(axis=1) - 1
    np.testing.assert_array_equal(
        first.tokens[:, 0, 0], np.argmax(np.asarray(logits)[range(3), answers], axis=-1)
    )


@pytest.mark.parametrize(
    ('feature', 'place', 'value', 'named'),
    [
        ('inputs', (2, 1), PLACEHOLDER, 'row 2 has 1 placeholders and 0 items'),
        (ITEMS, (0, 1), 0, 'row 0 has 2 placeholders and 1 items'),
        (ITEMS, (0, 1), 10, 'the catalogue has 9'),
        ('inputs', (1, slice(2, 4)), [9, PLACEHOLDER], 'ends in a placeholder'),
    ],
)
def test_a_placeholder_without_its_vector_is_told(feature, place, value, named):
    batch = task_batch()
    batch[feature][place] = value
    with pytest.raises(ValueError, match=named):
        model().convert_features(batch)


@CONTRASTS
def test_no_gradient_reaches_the_recommender_and_none_the_projector_of_text_alone(contrast):
    decoder = model(contrast)
    gradient = jax.jit(jax.grad(lambda params, batch: decoder.loss_sums(params, batch)[0]))
    both = gradient(filled(decoder), decoder.convert_features(task_batch()))
    assert not np.asarray(both[TABLE]).any()
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(both[PROJECTOR]))
    text = task_batch()
    text['inputs'] = np.where(text['inputs'] == PLACEHOLDER, 29, text['inputs'])
    text[ITEMS] = 0 * text[ITEMS]
    alone = gradient(filled(decoder), decoder.convert_features(text))
    assert not any(
        np.asarray(leaf).any() for leaf in jax.tree.leaves([alone[PROJECTOR], alone[TEMPERATURES]])
    )
    assert np.abs(alone['token_embedder']['embedding']).max() > 0


def test_info_nce_of_equal_rows_is_the_logarithm_of_how_many_there_are():
    alike, valid = jnp.ones((8, 4)), jnp.ones(8, bool)
    losses = info_nce(alike, 3 * alike, jnp.arange(8), valid, 0.07)
    np.testing.assert_allclose(losses, np.log(8), rtol=1e-6)
    # Two rows of one item are no negatives of each other, and a row that does not count is nobody's.
    losses = info_nce(alike, alike, jnp.asarray([0, 0, 2, 3, 4, 5, 6, 7]), valid.at[7].set(False), 0.07)
    np.testing.assert_allclose(losses, [*[np.log(6)] * 2, *[np.log(7)] * 5, 0], rtol=1e-6)


@CONTRASTS
def test_the_loss_is_the_weighted_sum_of_all_three(contrast):
    decoder = model(contrast)
    params, batch = filled(decoder), decoder.convert_features(task_batch())
    loss, weight, sums = jax.jit(decoder.loss_sums)(params, batch)
    expected = contrast.language_weight * sums['cross_entropy']
    for share, name in zip(contrast.weights, contrast.NAMES, strict=True):
        assert sums[name] > 0
        expected += share * sums[name]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert weight == (task_batch()['targets'] != 0).sum()
    off = dataclasses.replace(contrast, **{field.name: 0.0 for field in dataclasses.fields(contrast)})
    alone = model(off)
    assert decoder.in_batch_loss and not alone.in_batch_loss
    np.testing.assert_allclose(jax.jit(alone.loss_sums)(params, batch)[0], sums['cross_entropy'], rtol=1e-6)


@STARTS
def test_views_are_means_over_the_tokens_that_they_name(start):
    decoder = model(CalrecContrast(), start_token=start)
    params, batch = filled(decoder), decoder.convert_features(task_batch())
    encoded = jax.jit(lambda params, batch: decoder._encoded(params, batch, None))(params, batch)
    views = jax.jit(decoder.views)(params, batch, encoded)
    begin = int(start is not None)
    np.testing.assert_allclose(views.history[0], encoded[0, begin : begin + 3].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(views.answer[1], encoded[1, begin + 3], atol=1e-5)
    np.testing.assert_allclose(views.target[0], encoded[0, begin + 6 : begin + 8].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(views.target[1], encoded[1, begin + 4], atol=1e-5)
    words = decoder.module.apply({'params': params}, jnp.asarray([20, 21]), method='embed').mean(axis=0)
    np.testing.assert_allclose(views.target_words[0], words, atol=1e-5)
    alone = jnp.asarray([[20, 21] if start is None else [start, 20, 21]])
    read = decoder.module.apply({'params': params}, alone, method='read')[0, begin:].mean(axis=0)
    np.testing.assert_allclose(views.target_alone[0], read, atol=1e-5)


def test_temperatures_go_with_the_losses():
    with pytest.raises(ValueError, match=r'InjectedDecoder\.temperatures'):
        InjectedDecoderModel(InjectedDecoder(SMALL), contrast=CalrecContrast())
    with pytest.raises(ValueError, match='leave'):
        CalrecContrast(target=0.9, user=0.1)


def test_the_decoders_parameters_keep_their_names():
    assert set(filled(model())) == {*random_params(SMALL), TABLE, PROJECTOR}
