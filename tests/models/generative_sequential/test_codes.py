"""Codes of the next item: their probabilities, in training as in decoding, and rows of several histories."""

import dataclasses

import jax
import numpy as np
import pytest

from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, CodedCatalogueFacts
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.semantic_ids.code_table import CodeTable
from tests.models.generative_sequential.small import FACTS, LENGTH, SIZES, TABLE, drawn_params, small_model

N = TABLE.n_items


@pytest.fixture(scope='module', params=[False, True], ids=['codes', 'codes and items'])
def asked(request):
    """A model, its parameters, some histories, and the score of every item after each."""
    model = small_model(request.param)
    params = drawn_params(model)
    histories = np.random.default_rng(2).integers(1, N + 1, (5, LENGTH)).astype(np.int32)
    histories[0, :4] = 0
    scores = np.asarray(jax.jit(model.scores)(params, histories))
    return model, params, histories, scores


def test_probabilities_of_the_catalogue_add_up_to_1(asked):
    model, _, _, scores = asked
    assert scores.shape == (5, 128) and model.n_items == N
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-5)
    assert np.isneginf(scores[:, N:]).all() and np.isfinite(scores[:, :N]).all()
    # They are far from uniform, and differ from history to history.
    assert scores[:, :N].std(axis=1).min() > 0.3 and scores[:, :N].std(axis=0).min() > 0.01


def test_the_loss_is_what_the_scores_say(asked):
    model, params, histories, scores = asked
    targets = np.array([3, 1, N, 7, 20], np.int32)
    loss = jax.jit(model.loss_sums)
    only_last = {'items': histories, 'targets': np.zeros_like(histories)}
    only_last['targets'][:, -1] = targets
    total, weight, sums = loss(params, model.convert_features(only_last))
    expected = -scores[np.arange(5), targets - 1]
    assert weight == 5
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-5)
    np.testing.assert_allclose(sum(sums.values()), total, rtol=1e-6)
    assert sums.keys() == {'codes_0', 'codes_1', 'codes_2'}
    asked = {'items': np.concatenate([histories, targets[:, None]], axis=1)}
    np.testing.assert_allclose(jax.jit(model.score_batch)(params, asked), -expected, rtol=1e-4)


def test_histories_of_one_row_do_not_see_one_another():
    model = small_model()
    params, loss = drawn_params(model), jax.jit(model.loss_sums)
    one, other = np.array([4, 9, 2, 7]), np.array([5, 4, 30])
    packed = {
        'items': np.concatenate([one[:-1], other[:-1], [0]])[None],
        'targets': np.concatenate([one[1:], other[1:], [0]])[None],
        'items_segment_ids': np.array([[1, 1, 1, 2, 2, 0]]),
    }
    together = loss(params, model.convert_features(packed))
    apart = [
        loss(params, model.convert_features({'items': np.pad(row, (0, 5 - len(row)))[None]}))
        for row in (one, other)
    ]
    assert together[1] == 5
    np.testing.assert_allclose(together[0], sum(part[0] for part in apart), rtol=1e-5)
    swapped = {**packed, 'items_segment_ids': np.array([[1, 1, 1, 1, 1, 0]])}
    assert abs(loss(params, model.convert_features(swapped))[0] - together[0]) > 0.1


def test_an_item_loss_is_added_by_its_weight():
    params = drawn_params(small_model())
    batch = small_model().convert_features({'items': np.array([[4, 9, 2, 7, 0]])})
    sums = {
        weight: jax.jit(small_model(item_loss_weight=weight).loss_sums)(params, batch)
        for weight in (0.0, 0.5)
    }
    np.testing.assert_allclose(sums[0.5][0] - sums[0.0][0], 0.5 * sums[0.5][2]['items'], rtol=1e-5)
    with pytest.raises(ValueError, match='item_loss_weight=-1.0'):
        small_model(item_loss_weight=-1.0)


def test_a_level_without_a_choice_is_left_out():
    catalogue = FACTS.coded
    assert catalogue.sizes == SIZES[:3] and catalogue.levels == 3
    np.testing.assert_array_equal(catalogue.codes, TABLE.codes[:, :3])
    alone = CodedCatalogue.of(CodeTable(np.zeros((1, 2), np.int32), (4, 1)))
    assert alone.levels == 1


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match='made of another corpus'):
        CodedCatalogueFacts(N + 1, coded=FACTS.coded)
    with pytest.raises(ValueError, match='CodedCatalogueFacts'):
        dataclasses.replace(small_model()).for_catalogue(CatalogueFacts(N))
    with pytest.raises(ValueError, match="'targets' holds tokens"):
        bad = {'items': np.ones((1, 3), int), 'targets': np.full((1, 3), N + 1)}
        small_model().convert_features(bad)
