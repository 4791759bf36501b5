import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.network import Scoring
from llmrec_jax.models.sequential.recommender_model import ITEMS
from llmrec_jax.models.transfer.adaptors import UniversalEmbedding
from llmrec_jax.models.transfer.code_items import CodeItemEncoder
from llmrec_jax.models.transfer.hierarchical import USER, HierarchicalModel
from llmrec_jax.models.transfer.text_items import TextItemEncoder
from tests.models.transfer.planted_domains import LAW, planted_domain
from tests.models.transfer.trained import (
    CHANCE,
    facts,
    fit,
    follows_the_law,
    recommender,
    sequence_encoder,
    shuffled_order,
    start,
    tokens,
)

DOMAIN = planted_domain(1)
BATCH = {ITEMS: tokens(DOMAIN)[:12], USER: np.arange(12, dtype=np.int32)}


def model(item_precision, user_precision=None, domain=DOMAIN):
    items = TextItemEncoder(UniversalEmbedding(16), offset_precision=item_precision)
    one = HierarchicalModel(items, sequence_encoder(), FullSoftmax(), user_precision=user_precision)
    users = len(domain.histories)
    return one.for_catalogue(facts(domain)).for_examples(users, 7 * users)


def loss(one, params):
    return jax.jit(one.loss_sums, static_argnums=2)(params, BATCH, None)


@pytest.fixture(scope='module')
def moved():
    """Parameters at which offsets of items and users are not zero."""
    params = start(model(1.0, 1.0), text=DOMAIN.vectors)
    rng = np.random.default_rng(0)
    params['item_encoder']['offset'] = jnp.asarray(rng.standard_normal((128, 16)), jnp.float32)
    params['user_offset'] = jnp.asarray(rng.standard_normal((256, 16)), jnp.float32)
    return params


def test_infinite_precisions_are_the_text_model_whatever_the_offsets(moved):
    infinite = float('inf')
    text_alone = {**moved, 'item_encoder': {k: v for k, v in moved['item_encoder'].items() if k != 'offset'}}
    del text_alone['user_offset']
    plain = loss(model(None), text_alone)
    np.testing.assert_allclose(loss(model(infinite, infinite), moved)[2]['next_item'], plain[0], rtol=1e-6)
    assert plain[2]['prior'] == 0
    assert plain[1] == 12 * 7


def test_the_loss_is_the_papers_with_each_prior_shared_out(moved):
    total, weight, parts = loss(model(0.5, 4.0), moved)
    items = np.square(moved['item_encoder']['offset']).sum() * 0.5 / 2
    users = np.square(moved['user_offset'][:12] / 2).sum() * 4.0 / 2
    np.testing.assert_allclose(parts['prior'], items * weight / (7 * 150) + users, rtol=1e-5)
    np.testing.assert_allclose(total, parts['next_item'] + parts['prior'], rtol=1e-6)


def test_parts_that_do_not_fit():
    with pytest.raises(ValueError, match='is of a TextItemEncoder'):
        HierarchicalModel(CodeItemEncoder(4), sequence_encoder(), FullSoftmax())
    with pytest.raises(ValueError, match=r'without Scoring\.item_bias'):
        dataclasses.replace(model(1.0), scoring=Scoring(item_bias=True))
    with pytest.raises(ValueError, match='user_precision=-1.0 must be 0 or more'):
        model(1.0, -1.0)
    with pytest.raises(ValueError, match="'user' names users from 150 to 150, but the model is for 150"):
        model(1.0).convert_features({ITEMS: np.array([[1]]), USER: np.array([[150]])})


@pytest.mark.slow
def test_without_a_prior_it_is_an_id_model_and_with_an_infinite_one_it_is_not():
    """Where all texts are alike, only what an item has of its own can tell what comes next."""
    alike = dataclasses.replace(DOMAIN, vectors=np.ones_like(DOMAIN.vectors))
    batch = {ITEMS: tokens(alike), USER: np.arange(150, dtype=np.int32)}
    reached = {}
    for precision in (float('inf'), 1e-3):
        one = model(precision, domain=alike)
        params = fit(one, batch, start(one, text=alike.vectors), steps=150, rows=50)
        reached[precision] = follows_the_law(one, params, alike, LAW)
    assert reached[float('inf')] < 2 * CHANCE
    assert reached[1e-3] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize('control', [False, True])
def test_texts_alone_carry_what_was_learned_to_another_domain(control):
    source = shuffled_order(DOMAIN) if control else DOMAIN
    one = model(1.0, 1.0)
    batch = {ITEMS: tokens(source), USER: np.arange(150, dtype=np.int32)}
    learned = fit(one, batch, start(one, text=source.vectors), steps=150, rows=50)
    target = planted_domain(2)
    elsewhere = recommender(TextItemEncoder(UniversalEmbedding(16)), temperature=1.0, cosine=False)
    elsewhere = elsewhere.for_catalogue(facts(target))
    params = start(elsewhere, text=target.vectors)
    params['item_encoder']['adaptor'] = learned['item_encoder']['adaptor']
    params['sequence_encoder'] = learned['sequence_encoder']
    reached = follows_the_law(elsewhere, params, target, LAW)
    assert reached < 3 * CHANCE if control else reached > 0.9
