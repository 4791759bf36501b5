"""A training run in a process of its own, for the test that kills it: arguments are columns and workdir."""

import sys

import jax.numpy as jnp

from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.early_stopping import EarlyStopping
from llmrec_jax.training.optimizers import Adafactor
from llmrec_jax.training.schedules import InverseSquareRoot
from llmrec_jax.training.trainer import Trainer
from tests.training.small_model import SmallModel

TRAINER = Trainer(
    steps=300,
    feature_lengths={'inputs': 12, 'targets': 2},
    optimizer=Adafactor(InverseSquareRoot(0.01, 50), min_dim_size_to_factor=8),
    batch_size=32,
    microbatches=4,
    length_buckets=(4, 8),
    log_every=1,
    validate_every=20,
    checkpoint_every=30,
    early_stopping=EarlyStopping(patience=100),
)


def validate(params, step):
    """A metric that goes up and down, as a function of the parameters alone."""
    return {'recall@10': float(jnp.cos(100 * params['scale'].sum()))}


if __name__ == '__main__':
    TRAINER.fit(SmallModel(dropout=0.2), ColumnStore.open(sys.argv[1]), sys.argv[2], validate)
