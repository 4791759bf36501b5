"""Losses against values worked by hand, and at no other positions than those that count."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.losses import (
    BinaryCrossEntropy,
    FullSoftmax,
    GeneralizedBinaryCrossEntropy,
    Predictions,
    SampledSoftmax,
)

KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True, eq=False)
class Items:
    """A catalogue whose vectors are given; rows past it hold what no loss may see."""

    rows: object
    n_items: int

    def vectors(self, tokens):
        return self.table()[tokens - 1]

    def table(self):
        return jnp.concatenate([self.rows, jnp.full((2, self.rows.shape[1]), 50.0)])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Items 0 and 1 were had, in that order, and item 2 is all that is left to draw. Item 1 is predicted from
# the first state; the second predicts nothing, and its state is far from all others.
VECTORS = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]], np.float32)
STATES = np.array([[[0.5, 1.0], [9.0, 9.0]]], np.float32)
SCORES = VECTORS @ STATES[0, 0]
TOY = Predictions(jnp.asarray(STATES), jnp.array([[2, 0]]), jnp.array([[0, 1, 2]]))


def test_binary_cross_entropy_with_the_one_negative_that_there_is():
    loss, weight = BinaryCrossEntropy()(TOY, Items(VECTORS, 3), KEY)
    assert weight == 1
    assert float(loss) == pytest.approx(
        -np.log(sigmoid(SCORES[1])) - np.log(1 - sigmoid(SCORES[2])), rel=1e-6
    )


def test_full_softmax():
    loss, weight = FullSoftmax()(TOY, Items(VECTORS, 3), None)
    assert weight == 1
    assert float(loss) == pytest.approx(-np.log(np.exp(SCORES[1]) / np.exp(SCORES).sum()), rel=1e-6)


def test_gbce_weakens_the_target_by_the_rate_of_sampling():
    found, _ = GeneralizedBinaryCrossEntropy(1, 0.75, outside_sequence=True)(TOY, Items(VECTORS, 3), KEY)
    beta = 0.75 * (1 / 2 - 1) + 1
    by_hand = -beta * np.log(sigmoid(SCORES[1])) - np.log(1 - sigmoid(SCORES[2]))
    assert float(found) == pytest.approx(by_hand / 2, rel=1e-6)


def test_sampled_softmax_weighs_a_draw_by_its_probability():
    # The sequence's items are left out, so that each of the draws of item 2 stands for 1 / (n q) of it.
    facts = CatalogueFacts(3, np.array([2.0, 1.0, 0.0]))
    loss = SampledSoftmax(64, popularity=1.0, outside_sequence=True).for_catalogue(facts)
    np.testing.assert_allclose(loss.probabilities, [3 / 6, 2 / 6, 1 / 6], rtol=1e-6)
    found, _ = loss(TOY, Items(VECTORS, 3), KEY)
    total = np.exp(float(found) + SCORES[1])
    draws = (total - np.exp(SCORES[1])) / (np.exp(SCORES[2]) / (64 / 6))
    assert draws == pytest.approx(round(draws), abs=1e-3)
    assert 2 <= draws <= 25


def random_problem(n_items=12, dim=4):
    rng = np.random.default_rng(1)
    sequences = np.zeros((5, 7), np.int64)
    for row, length in enumerate((7, 3, 2, 5, 4)):
        sequences[row, 7 - length :] = rng.integers(1, n_items + 1, length)
    states = rng.normal(size=(5, 6, dim)).astype(np.float32)
    targets = np.where(sequences[:, :-1] != 0, sequences[:, 1:], 0)
    predictions = Predictions(jnp.asarray(states), jnp.asarray(targets), jnp.asarray(sequences))
    return predictions, rng.normal(size=(n_items, dim)).astype(np.float32)


def test_the_softmax_normalizer_is_estimated_without_bias():
    predictions, vectors = random_problem()
    counts = np.arange(12.0)
    loss = SampledSoftmax(16, popularity=0.5).for_catalogue(CatalogueFacts(12, counts))
    one = Predictions(predictions.states[:1, -1:], predictions.targets[:1, -1:], predictions.sequences[:1])
    scores = vectors @ np.asarray(one.states)[0, 0]
    keys = jax.random.split(KEY, 2000)
    found = jax.jit(jax.vmap(lambda key: loss(one, Items(vectors, 12), key)[0]))(keys)
    normalizers = np.exp(np.asarray(found) + scores[one.targets[0, 0] - 1])
    error = normalizers.std() / np.sqrt(len(normalizers))
    assert abs(normalizers.mean() - np.exp(scores).sum()) < 4 * error
    assert error < 0.02 * np.exp(scores).sum()


@pytest.mark.parametrize('positions_at_once', [4, 100])
def test_chunks_give_the_sum_and_the_gradient_of_the_whole(positions_at_once):
    predictions, vectors = random_problem()

    def whole(states, vectors):
        logits = states @ vectors.T
        targets = predictions.targets
        found = (
            jax.nn.logsumexp(logits, -1)
            - jnp.take_along_axis(logits, jnp.maximum(targets - 1, 0)[..., None], -1)[..., 0]
        )
        return 3.0 * jnp.sum(jnp.where(targets != 0, found, 0.0))

    def chunked(states, vectors):
        loss = FullSoftmax(positions_at_once)
        return 3.0 * loss(predictions._replace(states=states), Items(vectors, len(vectors)), None)[0]

    expected = jax.jit(jax.value_and_grad(whole, (0, 1)))(predictions.states, vectors)
    found = jax.jit(jax.value_and_grad(chunked, (0, 1)))(predictions.states, vectors)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), found, expected)
    assert not np.asarray(found[1][0])[np.asarray(predictions.targets) == 0].any()


@pytest.mark.parametrize(
    'loss',
    [BinaryCrossEntropy(), GeneralizedBinaryCrossEntropy(), SampledSoftmax(4)],
    ids=lambda loss: type(loss).__name__,
)
def test_what_draws_needs_a_key(loss):
    loss = loss.for_catalogue(CatalogueFacts(3, np.ones(3)))
    with pytest.raises(ValueError, match='draws negatives: it needs a key'):
        loss(TOY, Items(VECTORS, 3), None)


def test_losses_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match='negatives=0 must be at least 1'):
        BinaryCrossEntropy(0)
    with pytest.raises(ValueError, match=r'calibration=2.0 must lie in \[0, 1\]'):
        GeneralizedBinaryCrossEntropy(4, 2.0)
    with pytest.raises(ValueError, match='popularity=1.0 needs counts'):
        SampledSoftmax(4, 1.0).for_catalogue(CatalogueFacts(3))
    with pytest.raises(ValueError, match='call for_catalogue first'):
        SampledSoftmax(4)(TOY, Items(VECTORS, 3), KEY)
