"""A small network and a batch that several tests share."""

import dataclasses

import numpy as np
import pytest

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from tests.drawn_parameters import drawn

CONFIG = T5Config(
    vocab_size=48,
    emb_dim=16,
    num_heads=2,
    head_dim=4,
    mlp_dim=32,
    num_encoder_layers=1,
    num_decoder_layers=1,
)


@pytest.fixture(scope='session')
def config():
    return CONFIG


@pytest.fixture(scope='session')
def task_batch():
    """Five rows of 2 to 9 input tokens and 4 target tokens."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(1, CONFIG.vocab_size, (5, 9))
    inputs *= np.arange(9)[None, :] < np.array([9, 2, 5, 7, 3])[:, None]
    return {'inputs': inputs, 'targets': rng.integers(1, CONFIG.vocab_size, (5, 4))}


@pytest.fixture(scope='session')
def make_model():
    """`make_model(scan_layers=True, …)`: a model whose config differs from `config` in those fields."""

    def make(z_loss=0.0, label_smoothing=0.0, loss_normalizing_factor=None, decode_fn=None, **changes):
        return EncoderDecoderModel(
            Transformer(dataclasses.replace(CONFIG, **changes)),
            z_loss=z_loss,
            label_smoothing=label_smoothing,
            loss_normalizing_factor=loss_normalizing_factor,
            decode_fn=decode_fn,
        )

    return make


@pytest.fixture(scope='session')
def model(make_model):
    return make_model()


@pytest.fixture(scope='session')
def batch(model, task_batch):
    return model.convert_features(task_batch)


@pytest.fixture(scope='session')
def params(model, batch):
    # Norm scales are not 1 and the bias is not 0, so that a mistake in how they are used shows.
    return drawn(model, {name: feature.shape for name, feature in batch.items()})
