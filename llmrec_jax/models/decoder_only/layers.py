"""A decoder's embedding and gated feed-forward block."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.layers import Dense, RMSNorm
from llmrec_jax.models.projection import project

# What LLaMA, Qwen and Gemma are initialised with.
EMBEDDING_INIT = nn.initializers.normal(stddev=0.02)


class TokenEmbedder(nn.Module):
    """The table of token vectors, which may be the output head too."""

    config: DecoderConfig

    def setup(self):
        """Declares the table."""
        config = self.config
        self.embedding = partitioning.param_with_axes(
            'embedding',
            EMBEDDING_INIT,
            (config.vocab_size, config.emb_dim),
            jnp.float32,
            axes=('vocab', 'embed'),
        )

    def __call__(self, tokens: Int[Array, '*batch']) -> Float[Array, '*batch embed']:
        """The vectors of `tokens`, in the network's type."""
        config = self.config
        if config.one_hot_embedding:
            one_hot = jax.nn.one_hot(tokens, config.vocab_size, dtype=config.dtype)
            vectors = project(one_hot, self.embedding)
        else:
            # Rounded only after the gather, so that a token's gradients are added up in float32.
            vectors = self.embedding.at[tokens].get(mode='clip').astype(config.dtype)
        if config.scaled_embeddings:
            vectors = vectors * jnp.asarray(config.emb_dim**0.5, config.dtype)
        return vectors

    def attend(self, vectors: Float[Array, '*batch embed']) -> Float[Array, '*batch vocab']:
        """Float32 inner products with every row."""
        return project(vectors.astype(jnp.float32), self.embedding.T)


def block_norm(config: DecoderConfig) -> RMSNorm:
    """A norm over the residual stream."""
    return RMSNorm(config.norm_epsilon, config.norm_plus_one, config.dtype)


ACTIVATIONS = {'silu': jax.nn.silu, 'gelu_tanh': functools.partial(jax.nn.gelu, approximate=True)}


class GatedFeedForward(nn.Module):
    """`wo(activation(wi_0 x) * wi_1 x)`: SwiGLU or GeGLU (Shazeer, https://arxiv.org/abs/2002.05202)."""

    config: DecoderConfig

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch embed']) -> Float[Array, '*batch embed']:
        """The block's output."""
        config = self.config
        gate, up = (
            Dense(config.mlp_dim, ('embed', 'mlp'), config.dtype, lora=config.lora, name=name)(inputs)
            for name in ('wi_0', 'wi_1')
        )
        hidden = ACTIVATIONS[config.activation](gate) * up
        return Dense(config.emb_dim, ('mlp', 'embed'), config.dtype, lora=config.lora, name='wo')(hidden)
