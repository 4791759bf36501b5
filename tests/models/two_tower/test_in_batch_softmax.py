"""The in-batch softmax: values by hand, nobody's false negatives, and what the correction makes it learn."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.losses import Predictions, SequenceLoss
from llmrec_jax.models.two_tower.in_batch_softmax import InBatchSoftmax, draw_positions, in_batch_losses

KEY = jax.random.key(0)
VECTORS = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]], np.float32)
STATES = np.array([[0.5, 1.0], [1.0, 1.0], [2.0, -1.0], [9.0, 9.0]], np.float32)
TARGETS = np.array([1, 2, 1, 0])
COUNTS = np.array([7.0, 1.0, 0.0])


@dataclasses.dataclass(frozen=True, eq=False)
class Items:
    rows: object
    n_items: int = 3

    def vectors(self, tokens):
        return jnp.asarray(self.rows)[tokens - 1]

    def table(self):
        raise AssertionError('no loss within a batch scores the catalogue')


def by_hand(correct):
    probability = (COUNTS + 1) / (COUNTS + 1).sum()
    losses = []
    for row, target in enumerate(TARGETS[:3]):
        # Rows 0 and 2 have the same item; row 3 is padding.
        columns = [row, *(other for other in range(3) if TARGETS[other] != target)]
        # Of three rows with a target, two may be a row's negatives.
        scores = [
            STATES[row] @ VECTORS[TARGETS[column] - 1]
            - (np.log(2 * probability[TARGETS[column] - 1]) if correct and column != row else 0.0)
            for column in columns
        ]
        losses.append(np.log(np.exp(scores).sum()) - scores[0])
    return sum(losses)


@pytest.mark.parametrize('correct', [True, False])
@pytest.mark.parametrize('positions', [None, 1])
def test_values_by_hand(correct, positions):
    loss = InBatchSoftmax(positions, log_q=correct).for_catalogue(CatalogueFacts(3, COUNTS))
    assert isinstance(loss, SequenceLoss)
    # One position a row, so that whichever is drawn is that one.
    toy = Predictions(jnp.asarray(STATES)[:, None], jnp.asarray(TARGETS)[:, None], jnp.zeros((4, 2), int))
    total, weight = jax.jit(lambda: loss(toy, Items(VECTORS), KEY))()
    assert weight == 3
    assert float(total) == pytest.approx(by_hand(correct), rel=1e-5)


def test_of_each_row_as_many_targets_are_drawn_as_there_are():
    targets = jnp.array([[0, 1, 2, 3], [0, 0, 0, 2], [0, 0, 0, 0]])
    keys = jax.random.split(KEY, 100)
    columns = jax.jit(jax.vmap(lambda key: draw_positions(key, targets, 2)))(keys)
    drawn = np.sort(np.take_along_axis(np.asarray(targets)[None], np.asarray(columns), axis=2))
    assert {tuple(row) for row in drawn[:, 0].tolist()} == {(1, 2), (1, 3), (2, 3)}
    assert (drawn[:, 1] == [0, 2]).all() and (drawn[:, 2] == 0).all()


def test_padding_loses_nothing_and_leaves_finite_gradients():
    def loss(scores):
        valid = jnp.array([True, False, False])
        return in_batch_losses(jnp.diagonal(scores), scores, jnp.array([1, 0, 0]), valid).sum()

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.ones((3, 3)))
    assert value == 0 and (gradient == 0).all()


def learned(correct):
    """Scores of 2 queries and 6 items, trained on draws of a law in which item 0 is had by everybody."""
    loss = InBatchSoftmax(None, log_q=correct).for_catalogue(CatalogueFacts(6, LAW.mean(axis=0) * 1e6))
    optimizer = optax.adam(0.05)

    def of_batch(table, key):
        query_key, item_key = jax.random.split(key)
        queries = jax.random.randint(query_key, (128,), 0, 2)
        items = jax.random.categorical(item_key, jnp.log(LAW)[queries])
        toy = Predictions(table[queries][:, None], items[:, None] + 1, jnp.zeros((128, 2), int))
        total, weight = loss(toy, Items(jnp.eye(6), 6), None)
        return total / weight

    def step(carry, key):
        table, state = carry
        updates, state = optimizer.update(jax.grad(of_batch)(table, key), state)
        return (optax.apply_updates(table, updates), state), None

    start = jnp.zeros((2, 6))
    keys = jax.random.split(jax.random.key(1), 400)
    (table, _), _ = jax.jit(lambda: jax.lax.scan(step, (start, optimizer.init(start)), keys))()
    return np.asarray(table)


LAW = np.array([[0.3, 0.22, 0.02, 0.16, 0.15, 0.15], [0.3, 0.02, 0.22, 0.16, 0.15, 0.15]])


def test_corrected_scores_rank_by_what_follows_and_uncorrected_ones_by_what_is_rare():
    corrected, uncorrected = learned(True), learned(False)
    assert (corrected.argmax(axis=1) == 0).all()
    log_odds = corrected - corrected[:, :1]
    np.testing.assert_allclose(log_odds, np.log(LAW / LAW[:, :1]), atol=0.35)
    assert uncorrected.argmax(axis=1).tolist() == [1, 2]


def test_what_is_not_known_is_refused():
    with pytest.raises(ValueError, match='positions=0 must be'):
        InBatchSoftmax(0)
    with pytest.raises(ValueError, match='log_q needs counts'):
        InBatchSoftmax().for_catalogue(CatalogueFacts(3))
    toy = Predictions(jnp.zeros((1, 2, 2)), jnp.ones((1, 2), int), jnp.zeros((1, 2), int))
    with pytest.raises(ValueError, match='needs a key'):
        InBatchSoftmax(1)(toy, Items(VECTORS), None)
    with pytest.raises(ValueError, match='call for_catalogue first'):
        InBatchSoftmax(None)(toy, Items(VECTORS), None)
