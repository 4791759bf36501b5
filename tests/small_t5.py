"""Small T5s whose parameters tests write, read and send elsewhere; axes that could be mixed up differ."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from llmrec_jax.models.hf_weights.names import parameter_shapes
from llmrec_jax.models.t5 import T5Config

# T5 1.1 and Flan-T5.
GATED = T5Config(
    vocab_size=32,
    emb_dim=16,
    num_heads=2,
    head_dim=4,
    mlp_dim=24,
    num_encoder_layers=3,
    num_decoder_layers=2,
    mlp_activations=('gelu', 'linear'),
)
# T5 1.0.
TIED = dataclasses.replace(GATED, mlp_activations=('relu',), logits_via_embedding=True)


def random_params(config=GATED, dtype='float32'):
    """Path of each parameter, with one subtree a layer, to numbers that no initializer makes."""
    rng = np.random.default_rng(0)
    return {
        path: rng.normal(size=shape).astype(jnp.dtype(dtype))
        for path, shape in parameter_shapes(config).items()
    }


def readers(params):
    """What `write_hf` is given of parameters that are in memory."""
    return {path: lambda leaf=leaf: leaf for path, leaf in params.items()}
