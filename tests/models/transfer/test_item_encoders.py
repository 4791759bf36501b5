import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.transfer.adaptors import MixtureAdaptor, ParametricWhitening, UniversalEmbedding
from llmrec_jax.models.transfer.code_items import CodeItemEncoder
from llmrec_jax.models.transfer.frozen_tables import filled_table
from llmrec_jax.models.transfer.text_items import TextItemEncoder

RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((5, 6)).astype(np.float32)
CODES = RNG.integers(0, 4, (5, 3))
FACTS = CatalogueFacts(5, vectors=VECTORS)
TOKENS = jnp.array([[0, 1, 5], [3, 3, 0]])


def filled(encoder, **tables):
    """The encoder's parameters with its tables filled, as `launch.starting_parameters` does it."""
    variables = encoder.init(jax.random.key(0), TOKENS)
    held = {name: jnp.asarray(filled_table(rows)) for name, rows in tables.items()}
    return {'params': {**variables['params'], **held}}


ENCODERS = {
    'whitening': (TextItemEncoder(ParametricWhitening(4)), {'text': VECTORS}),
    'mixture': (TextItemEncoder(MixtureAdaptor(4, experts=2), offset_precision=0.0), {'text': VECTORS}),
    'embedding': (TextItemEncoder(UniversalEmbedding(4, (7,)), offset_precision=2.0), {'text': VECTORS}),
    'codes': (CodeItemEncoder(4, digits=3, codewords=4), {'codes': CODES}),
}


@pytest.mark.parametrize('name', ENCODERS)
def test_the_table_holds_the_vectors_of_tokens_and_padding_is_zero(name):
    encoder, tables = ENCODERS[name]
    encoder = encoder.for_catalogue(FACTS)
    params = filled(encoder, **tables)
    vectors = encoder.apply(params, TOKENS)
    table = encoder.apply(params, method='table')
    assert (encoder.dim, encoder.n_items, table.shape) == (4, 5, (128, 4))
    np.testing.assert_allclose(vectors[0, 1:], table[jnp.array([0, 4])], rtol=1e-6)
    np.testing.assert_array_equal(vectors[1, 0], vectors[1, 1])
    # A batch of more tokens than the table has rows goes another way.
    many = encoder.apply(params, jnp.tile(TOKENS, (30, 1)))
    np.testing.assert_allclose(many, np.tile(vectors, (30, 1, 1)), rtol=1e-5, atol=1e-6)
    assert not vectors[0, 0].any()
    assert not vectors[1, 2].any()
    assert vectors[0, 1].any()


@pytest.mark.parametrize('name', ENCODERS)
def test_a_table_that_was_not_filled_is_not_used_in_silence(name):
    encoder = ENCODERS[name][0].for_catalogue(FACTS)
    params = encoder.init(jax.random.key(0), TOKENS)
    assert np.isnan(encoder.apply(params, TOKENS)[1, 0]).all()
    with pytest.raises(ValueError, match='call for_catalogue'):
        ENCODERS[name][0].init(jax.random.key(0), TOKENS)


def test_an_item_is_the_mean_of_the_embeddings_of_its_codes():
    encoder = CodeItemEncoder(4, digits=3, codewords=4).for_catalogue(FACTS)
    params = filled(encoder, codes=CODES)
    embedding = np.asarray(params['params']['embedding'])
    for item in range(5):
        expected = np.mean([embedding[digit, CODES[item, digit]] for digit in range(3)], axis=0)
        np.testing.assert_allclose(encoder.apply(params, jnp.array([item + 1]))[0], expected, rtol=1e-5)


def test_a_renamed_encoder_looks_codes_up_under_their_new_names():
    encoder = CodeItemEncoder(4, digits=3, codewords=4, renaming=True).for_catalogue(FACTS)
    params = filled(encoder, codes=CODES)
    permutation = np.stack([np.random.default_rng(seed).permutation(4) for seed in range(3)])
    params['params']['renaming'] = 5 * jnp.eye(4)[permutation]
    embedding = params['params']['embedding']
    renamed = {'params': {'codes': params['params']['codes']}}
    renamed['params']['embedding'] = jnp.stack([embedding[d, permutation[d]] for d in range(3)])
    np.testing.assert_allclose(
        encoder.apply(params, TOKENS), encoder.clone(renaming=False).apply(renamed, TOKENS), atol=1e-6
    )


def test_no_gradient_reaches_what_describes_the_items():
    encoder = TextItemEncoder(ParametricWhitening(4), offset_precision=0.0).for_catalogue(FACTS)
    params = filled(encoder, text=VECTORS)
    gradient = jax.grad(lambda params: jnp.square(encoder.apply(params, TOKENS) - 1).sum())(params)['params']
    assert not gradient['text'].any()
    assert np.abs(gradient['adaptor']['kernel']).max() > 0
    assert np.abs(gradient['offset'][0]).max() > 0
    assert not gradient['offset'][1].any()


def test_offsets_vanish_at_an_infinite_precision_and_are_free_at_none():
    offset = jnp.zeros((128, 4)).at[2].set(3.0)
    found = {}
    for precision in (None, float('inf'), 4.0, 0.25, 0.0):
        encoder = TextItemEncoder(UniversalEmbedding(4), offset_precision=precision).for_catalogue(FACTS)
        params = filled(encoder, text=VECTORS)
        if precision is not None:
            params['params']['offset'] = offset
        found[precision] = encoder.apply(params, jnp.array([3]))[0]
        moved = np.square(found[precision] - found[None]).sum()
        if precision not in (None, float('inf')):
            # The prior in the terms of the paper: precision / 2 times the squared distance from the text.
            np.testing.assert_allclose(
                encoder.apply(params, method='penalty'), precision / 2 * moved, rtol=1e-4
            )
    np.testing.assert_array_equal(found[float('inf')], found[None])
    np.testing.assert_allclose(found[4.0] - found[None], 1.5, rtol=1e-5)
    np.testing.assert_allclose(found[0.0] - found[None], 3.0, rtol=1e-5)


def test_a_catalogue_without_text_is_refused():
    with pytest.raises(ValueError, match='give the recipe a text encoder'):
        TextItemEncoder(ParametricWhitening(4)).for_catalogue(CatalogueFacts(5))
    with pytest.raises(ValueError, match='offset_precision=-1.0 must be 0 or more'):
        TextItemEncoder(ParametricWhitening(4), offset_precision=-1.0).for_catalogue(FACTS)
