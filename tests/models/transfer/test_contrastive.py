import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.transfer.contrastive import contrastive_losses, semi_synthetic_codes

TEMPERATURE = 0.5
RNG = np.random.default_rng(0)
QUERIES = jnp.asarray(RNG.standard_normal((6, 5)), jnp.float32)
ITEMS = jnp.array([4, 7, 4, 9, 7, 4])
KEYS = jnp.asarray(RNG.standard_normal((10, 5)), jnp.float32)[ITEMS]
NEGATIVES = jnp.asarray(RNG.standard_normal((6, 5)), jnp.float32)


def loop_losses(negatives=(), valid=(True,) * 6, groups=range(6), shared=False):
    """Row by row and pair by pair, leaving pairs of one item out."""

    def similarity(one, other):
        return np.exp(one @ other / np.linalg.norm(one) / np.linalg.norm(other) / TEMPERATURE)

    losses = []
    for i in range(6):
        positive = similarity(QUERIES[i], KEYS[i])
        total = positive
        for j in range(6):
            if ITEMS[i] != ITEMS[j] and valid[j] and groups[i] != groups[j]:
                total += similarity(QUERIES[i], KEYS[j])
        for row, (negative, real) in enumerate(zip(negatives, valid)):
            total += similarity(QUERIES[i], negative) if real and (shared or row == i) else 0
        losses.append(-np.log(positive / total) if valid[i] else 0.0)
    return losses


def test_the_loss_equals_a_loop_that_leaves_repeated_items_out():
    found = contrastive_losses(QUERIES, KEYS, ITEMS, TEMPERATURE)
    np.testing.assert_allclose(found, loop_losses(), rtol=1e-5)


@pytest.mark.parametrize('shared', [False, True])
def test_a_further_negative_is_its_own_rows_alone_or_every_rows(shared):
    found = contrastive_losses(
        QUERIES, KEYS, ITEMS, TEMPERATURE, negatives=NEGATIVES, shared_negatives=shared
    )
    np.testing.assert_allclose(found, loop_losses(NEGATIVES, shared=shared), rtol=1e-5)


def test_the_loss_with_semi_synthetic_items_is_that_of_the_released_code():
    queries, keys, fakes = (
        np.asarray(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
        for vectors in (QUERIES, RNG.standard_normal((6, 5)), NEGATIVES)
    )
    # `seq_item_contrastive_task` of RUCAIBox/VQ-Rec, where no item repeats in the batch.
    positive = np.exp((queries * keys).sum(axis=1) / TEMPERATURE)
    negative = np.exp(queries @ keys.T / TEMPERATURE).sum(axis=1)
    fake = np.exp((queries * fakes).sum(axis=1) / TEMPERATURE)
    released = -np.log(positive / (negative + fake))
    found = contrastive_losses(
        QUERIES, jnp.asarray(keys, jnp.float32), jnp.arange(6), TEMPERATURE, negatives=NEGATIVES
    )
    np.testing.assert_allclose(found, released, rtol=1e-5)


def test_padding_is_no_negative_and_costs_nothing():
    valid = np.array([True, True, False, True, False, True])
    found = contrastive_losses(QUERIES, KEYS, ITEMS, TEMPERATURE, valid=jnp.asarray(valid))
    np.testing.assert_allclose(found, loop_losses(valid=valid), rtol=1e-5)
    for shared in (False, True):
        further = contrastive_losses(
            QUERIES,
            KEYS,
            ITEMS,
            TEMPERATURE,
            negatives=NEGATIVES,
            shared_negatives=shared,
            valid=jnp.asarray(valid),
        )
        np.testing.assert_allclose(further, loop_losses(NEGATIVES, valid, shared=shared), rtol=1e-5)


def test_rows_of_a_group_are_no_negatives_of_one_another():
    groups = [0, 0, 1, 1, 1, 2]
    found = contrastive_losses(QUERIES, KEYS, ITEMS, TEMPERATURE, groups=jnp.asarray(groups))
    np.testing.assert_allclose(found, loop_losses(groups=groups), rtol=1e-5)


def test_a_masked_logit_of_zero_as_in_the_released_code_costs_more():
    queries, keys, items = (np.asarray(each) for each in (QUERIES, KEYS, ITEMS))
    unit_queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    unit_keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    logits = unit_queries @ unit_keys.T / TEMPERATURE
    repeated = (items[:, None] == items[None, :]) & ~np.eye(6, dtype=bool)
    released = np.log(np.exp(np.where(repeated, 0, logits)).sum(axis=1)) - np.diagonal(logits)
    ours = np.asarray(contrastive_losses(QUERIES, KEYS, ITEMS, TEMPERATURE))
    assert np.all((released > ours + 1e-3) == repeated.any(axis=1))


def test_gradients_are_finite_where_a_batch_holds_one_item_and_a_zero_vector():
    items = jnp.full(6, 3)
    queries = QUERIES.at[2].set(0)
    gradient = jax.grad(lambda q: contrastive_losses(q, KEYS, items, TEMPERATURE).sum())(queries)
    assert np.isfinite(gradient).all()


def test_semi_synthetic_items_keep_a_quarter_of_their_codes():
    codes = jnp.asarray(np.random.default_rng(0).integers(0, 256, (400, 32)))
    drawn = semi_synthetic_codes(codes, jax.random.key(0), 256)
    assert drawn.min() >= 0
    assert drawn.max() < 256
    kept = np.mean(np.asarray(drawn == codes))
    # 12,800 draws: four standard deviations of a share are 0.015.
    assert abs(kept - (0.25 + 0.75 / 256)) < 0.016
    np.testing.assert_array_equal(semi_synthetic_codes(codes, jax.random.key(0), 256, 0.0), codes)
