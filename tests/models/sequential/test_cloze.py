"""The cloze objective: what is drawn to be hidden, and that a model is shown nothing of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.models.sequential.bert4rec import BERT4RecConfig, BERT4RecEncoder
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.objective import HIDDEN, Cloze
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from tests.drawn_parameters import drawn

ITEMS, WIDTH = 9, 6


def sequences(lengths, seed=0, width=WIDTH):
    """Items drawn at random, padded on the left."""
    drawn = np.random.default_rng(seed).integers(1, ITEMS + 1, (len(lengths), width))
    return (drawn * (np.arange(width) >= width - np.asarray(lengths)[:, None])).astype(np.int32)


@functools.partial(jax.jit, static_argnums=0)
def view_of(cloze, tokens, key):
    return cloze.training_view(tokens, key)


@given(lengths=st.lists(st.integers(0, WIDTH), min_size=5, max_size=5), seed=st.integers(0, 2**31))
@settings(max_examples=30)
@pytest.mark.parametrize('cloze', [Cloze(0.02, 0.0), Cloze(0.5, 0.5), Cloze(0.98, 0.1)])
def test_each_sequence_has_items_hidden_and_nothing_else_changes(cloze, lengths, seed):
    tokens = sequences(lengths, seed)
    inputs, targets = map(np.asarray, view_of(cloze, tokens, jax.random.key(seed)))
    hidden = inputs == HIDDEN
    np.testing.assert_array_equal(hidden.any(axis=1), np.array(lengths) > 0)
    np.testing.assert_array_equal(np.where(hidden, targets, inputs), tokens)
    assert not targets[~hidden].any() and targets[hidden].all()


def test_rate_and_share_are_kept_and_follow_the_key():
    tokens, cloze = sequences([30] * 4000, width=30), Cloze(0.3, 0.25)
    hidden, again, other = (
        np.asarray(view_of(cloze, tokens, jax.random.key(seed)).inputs) == HIDDEN for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(hidden, again)
    assert (hidden != other).any(axis=1).mean() > 0.7
    alone = (hidden.sum(axis=1) == 1) & hidden[:, -1]
    assert alone.mean() == pytest.approx(0.25, abs=0.03)
    assert hidden[~alone].mean() == pytest.approx(0.3, abs=0.01)


def test_validation_asks_for_the_last_item():
    tokens = sequences([WIDTH, 3, 0])
    inputs, targets = map(np.asarray, Cloze().training_view(jnp.asarray(tokens), None))
    np.testing.assert_array_equal(inputs[:, :-1], tokens[:, :-1])
    np.testing.assert_array_equal(inputs[:, -1], [HIDDEN, HIDDEN, 0])
    np.testing.assert_array_equal(targets[:, -1], tokens[:, -1])
    assert not targets[:, :-1].any()


@pytest.fixture(scope='module')
def model():
    encoder = BERT4RecEncoder(BERT4RecConfig(max_length=WIDTH, num_layers=1, mlp_dim=8))
    model = SequentialRecommenderModel(ItemTable(8, init_stddev=1.0), encoder, FullSoftmax(), Cloze())
    return model.for_catalogue(CatalogueFacts(ITEMS))


@pytest.fixture(scope='module')
def params(model):
    return drawn(model, {})


def test_a_model_is_shown_nothing_of_the_item_that_it_is_to_tell(model, params):
    whole = sequences([WIDTH, 3])
    changed = whole.copy()
    changed[:, -1] = changed[:, -1] % ITEMS + 1
    shown = [Cloze().training_view(jnp.asarray(tokens), None).inputs for tokens in (whole, changed)]
    np.testing.assert_array_equal(*shown)
    loss = jax.jit(model.loss_sums)
    scores = jax.jit(model.scores)(params, whole[:, :-1])[:, :ITEMS]
    for tokens in (whole, changed):
        total, weight, _ = loss(params, {'items': tokens})
        told = jax.nn.log_softmax(scores)[np.arange(2), tokens[:, -1] - 1]
        assert weight == 2
        np.testing.assert_allclose(total, -told.sum(), rtol=1e-5)


def test_the_question_of_an_empty_history_has_an_answer(model, params):
    scores = jax.jit(model.scores)(params, np.zeros((2, WIDTH), np.int32))[:, :ITEMS]
    assert np.isfinite(scores).all() and np.ptp(scores) > 0


@pytest.mark.parametrize('field, value', [('rate', 0.0), ('rate', 1.0), ('last_only', 1.5)])
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(ValueError, match=f'Cloze.{field}={value}'):
        Cloze(**{field: value})
