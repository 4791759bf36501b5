"""A model says whether an example's loss depends on the others of its microbatch, and says so rightly.

That decides whether a batch is cut by length: its loss is the sum over its microbatches, or is not.
"""

import jax
import numpy as np
import pytest

from tests.drawn_parameters import drawn
from tests.t5x.registered_models import REGISTERED, with_tables

# Each way to judge states that draws nothing where dropout is off, and both kinds of pre-training.
IN_BATCH = {
    'EncoderDecoderModel': False,
    'SequentialRecommenderModel, SASRec': False,
    'SequentialRecommenderModel, two towers': True,
    'GenerativeSequentialModel': False,
    'ContrastivePretraining, UniSRec': True,
    'ContrastivePretraining, VQ-Rec': True,
    'HierarchicalModel': False,
}


@pytest.mark.parametrize('name', IN_BATCH)
def test_the_loss_of_a_batch_is_that_of_its_halves_unless_the_model_says_otherwise(name):
    entry = REGISTERED[name]
    model = entry.make()
    batch = model.convert_features(entry.task_batch(0, 8))
    shapes = {feature: array.shape for feature, array in batch.items()}
    params = with_tables(drawn(model, shapes))
    loss = jax.jit(lambda batch: model.loss_sums(params, batch, None)[0])
    halves = sum(loss({feature: array[half::2] for feature, array in batch.items()}) for half in (0, 1))
    assert model.in_batch_loss == IN_BATCH[name]
    assert bool(np.isclose(halves, loss(batch), rtol=1e-4)) != model.in_batch_loss
