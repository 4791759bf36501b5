"""The token embedding, which may also serve as the output head."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.t5.projection import project


class Embed(nn.Module):
    """A table of token vectors.

    Attributes:
      vocab_size: rows.
      features: width of a row.
      dtype: of the vectors handed out; the table itself is float32.
      one_hot: whether rows are fetched by a one-hot multiplication instead of a gather.
    """

    vocab_size: int
    features: int
    dtype: Any = jnp.float32
    one_hot: bool = False

    def setup(self):
        """Declares the table."""
        self.embedding = partitioning.param_with_axes(
            'embedding',
            nn.initializers.normal(stddev=1.0),
            (self.vocab_size, self.features),
            jnp.float32,
            axes=('vocab', 'embed'),
        )

    def __call__(self, tokens: Int[Array, 'batch length']) -> Float[Array, 'batch length features']:
        """The vectors of `tokens`."""
        if self.one_hot:
            vectors = project(jax.nn.one_hot(tokens, self.vocab_size, dtype=self.dtype), self.embedding)
        else:
            # Rounded only after the gather, so that a token's gradients are added up in float32.
            vectors = self.embedding.at[tokens].get(mode='clip').astype(self.dtype)
        return partitioning.with_sharding_constraint(vectors, ('batch', 'length', 'embed'))

    def attend(self, vectors: Float[Array, '*batch features']) -> Float[Array, '*batch vocab']:
        """Float32 inner products with every row, divided by sqrt(features): T5 1.0's tied head."""
        return jnp.dot(vectors.astype(jnp.float32), self.embedding.T) / jnp.sqrt(self.features)
