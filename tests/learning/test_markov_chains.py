"""SASRec learns what the last items tell, and nothing where their order tells nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.schedules import WarmupCosine
from llmrec_jax.training.trainer import Trainer

N_ITEMS, LENGTH, FAITHFUL = 100, 11, 0.7
# Every item is as frequent as any other, so that this is what the marginal rate allows.
BAYES, MARGINAL = FAITHFUL + (1 - FAITHFUL) / N_ITEMS, 1 / N_ITEMS


def chains(rng, rows, lag):
    """Sequences in which the item `lag` places back decides the next one in `FAITHFUL` of all cases."""
    successor = np.random.default_rng(7).permutation(N_ITEMS)
    drawn = rng.integers(0, N_ITEMS, (rows, LENGTH + 1))
    for column in range(lag, LENGTH + 1):
        faithful = rng.random(rows) < FAITHFUL
        drawn[faithful, column] = successor[drawn[faithful, column - lag]]
    return drawn


def hit_rate(tmp_path, train, test, steps=600):
    """How often the first of the list is what came next, after training on `train`."""
    encoder = SASRecEncoder(SASRecConfig(max_length=LENGTH, num_layers=2, dropout_rate=0.1))
    model = SequentialRecommenderModel(ItemTable(32), encoder, FullSoftmax(512))
    model = model.for_catalogue(CatalogueFacts(N_ITEMS))
    trainer = Trainer(
        steps=steps,
        feature_lengths={'items': LENGTH + 1},
        bucketed_feature='items',
        optimizer=AdamW(WarmupCosine(peak=5e-3, warmup_steps=50, total_steps=steps), b2=0.98),
        batch_size=64,
        mesh=MeshShape(data=1),
        checkpoint_every=steps,
    )
    result = trainer.fit(model, write_columns(tmp_path / 'store', {'items': train + 1}, {}), tmp_path / 'run')
    params = load_params(result.checkpoint)
    scores = jax.jit(model.scores)(jax.tree.map(jnp.asarray, params), jnp.asarray(test[:, :-1] + 1))
    return (np.asarray(scores).argmax(axis=1) == test[:, -1]).mean()


def first_order_hit_rate(train, test):
    counts = np.zeros((N_ITEMS, N_ITEMS))
    np.add.at(counts, (train[:, :-1].reshape(-1), train[:, 1:].reshape(-1)), 1)
    return (counts[test[:, -2]].argmax(axis=1) == test[:, -1]).mean()


@pytest.mark.slow
@pytest.mark.parametrize('lag', [1, 2])
def test_the_chain_is_learned_to_five_percent_of_what_can_be_known(tmp_path, lag):
    rng = np.random.default_rng(lag)
    train, test = chains(rng, 3000, lag), chains(rng, 4000, lag)
    found = hit_rate(tmp_path, train, test)
    assert found > 0.95 * BAYES
    counted = first_order_hit_rate(train, test)
    # Counts of pairs know all of a chain of the first order, and nothing of one of the second.
    assert (counted > 0.95 * BAYES) == (lag == 1)
    if lag == 2:
        assert found > 10 * counted


@pytest.mark.slow
def test_of_shuffled_events_it_learns_nothing(tmp_path):
    rng = np.random.default_rng(1)
    train, test = chains(rng, 3000, 1), chains(rng, 4000, 1)
    shuffled = rng.permutation(train.reshape(-1)).reshape(train.shape)
    error = np.sqrt(MARGINAL * (1 - MARGINAL) / len(test))
    assert hit_rate(tmp_path, shuffled, test, steps=300) < MARGINAL + 4 * error
