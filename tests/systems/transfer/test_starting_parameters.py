import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.models.transfer.adaptors import MixtureAdaptor, UniversalEmbedding
from llmrec_jax.models.transfer.text_items import TextItemEncoder
from llmrec_jax.systems.transfer.starting_parameters import (
    drawn,
    renamed,
    transferred,
    whitened,
)
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.start_checkpoint import write_parameters

RNG = np.random.default_rng(0)
SOURCE, TARGET = (RNG.standard_normal((n, 6)).astype(np.float32) for n in (9, 5))


def model(vectors, adaptor=None, precision=None, **config):
    items = TextItemEncoder(adaptor or UniversalEmbedding(4), offset_precision=precision)
    sequences = SASRecEncoder(SASRecConfig(max_length=6, num_layers=1, **config))
    return SequentialRecommenderModel(items, sequences, FullSoftmax()).for_catalogue(
        CatalogueFacts(len(vectors), vectors=vectors)
    )


@pytest.fixture(scope='module')
def learned():
    params = drawn(model(SOURCE, precision=1.0), {'text': SOURCE}, seed=1)
    return jax.tree.map(lambda leaf: leaf + 0.5, params)


def test_what_is_taken_over_does_not_depend_on_the_sources_items(learned, tmp_path):
    target = model(TARGET, precision=0.0)
    start = drawn(target, {'text': TARGET}, seed=2)
    found = transferred(start, learned)
    np.testing.assert_array_equal(found['item_encoder']['text'][:5], TARGET)
    assert not found['item_encoder']['offset'].any()
    for part, name in (('item_encoder', 'adaptor'), ('sequence_encoder', 'layers_0')):
        jax.tree.map(np.testing.assert_array_equal, found[part][name], learned[part][name])
    other = {**learned, 'item_encoder': {**learned['item_encoder'], 'offset': np.full((128, 4), 9.0)}}
    jax.tree.map(np.testing.assert_array_equal, transferred(start, other), found)
    checkpoint = write_parameters(found, tmp_path / 'start')
    jax.tree.map(np.testing.assert_array_equal, load_params(checkpoint), found)


def test_encoders_of_another_shape_are_named(learned):
    start = drawn(model(TARGET, mlp_dim=7), {'text': TARGET}, seed=0)
    with pytest.raises(ValueError, match=r'sequence_encoder/layers_0/feed_forward/wi/bias has shape \(7,\)'):
        transferred(start, learned)
    mixture = drawn(model(TARGET, MixtureAdaptor(4, experts=2)), {'text': TARGET}, seed=0)
    with pytest.raises(ValueError, match=r'adaptor/gate has shape \(6, 2\) in the model of the target'):
        transferred(mixture, learned)
    with pytest.raises(ValueError, match=r"the items have the tables \['text'\], but \['codes'\] are given"):
        drawn(model(TARGET), {'codes': TARGET}, seed=0)


@pytest.mark.slow
def test_a_mixture_starts_near_the_whitening_of_the_vectors():
    vectors = (RNG.standard_normal((300, 6)) @ RNG.standard_normal((6, 6)) + 2).astype(np.float32)
    one = model(vectors, MixtureAdaptor(4, experts=3))
    params = whitened(drawn(one, {'text': vectors}, seed=0), one, vectors)
    table = one.network.apply({'params': jax.tree.map(jnp.asarray, params)}, method='table')[:300]
    np.testing.assert_allclose(np.cov(table, rowvar=False), np.eye(4), atol=0.25)
    kernel = params['item_encoder']['adaptor']['kernel']
    assert 0 < np.abs(kernel[0] - kernel[1]).max() < 0.2
    with pytest.raises(ValueError, match='only ParametricWhitening and MixtureAdaptor'):
        whitened(params, model(vectors), vectors)


def test_renamed_codes_take_the_embeddings_that_were_found_for_them():
    embedding = RNG.standard_normal((2, 5, 3)).astype(np.float32)
    permutation = np.stack([np.random.default_rng(seed).permutation(5) for seed in (0, 1)])
    items = {'embedding': embedding, 'renaming': 2 * np.eye(5, dtype=np.float32)[permutation]}
    found = renamed(items)
    for digit in range(2):
        for code in range(5):
            np.testing.assert_array_equal(found[digit, code], embedding[digit, permutation[digit, code]])
    np.testing.assert_array_equal(renamed({'embedding': embedding}), embedding)
