"""T5's feed-forward block, plain or gated."""

import functools
import operator

import jax
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float

from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.dense import Dense

ACTIVATIONS = {
    'relu': jax.nn.relu,
    'gelu': functools.partial(jax.nn.gelu, approximate=True),
    'silu': jax.nn.silu,
    'linear': lambda x: x,
}


class FeedForward(nn.Module):
    """One hidden layer; with several activations, the elementwise product of as many hidden layers."""

    config: T5Config

    @nn.compact
    def __call__(
        self, inputs: Float[Array, 'batch length embed'], enable_dropout: bool
    ) -> Float[Array, 'batch length embed']:
        """The block's output."""
        config = self.config
        gated = len(config.mlp_activations) > 1
        hidden = functools.reduce(
            operator.mul,
            [
                ACTIVATIONS[activation](
                    Dense(
                        config.mlp_dim,
                        ('embed', 'mlp'),
                        config.dtype,
                        name=f'wi_{index}' if gated else 'wi',
                    )(inputs)
                )
                for index, activation in enumerate(config.mlp_activations)
            ],
        )
        hidden = nn.Dropout(config.dropout_rate, broadcast_dims=(-2,))(
            hidden, deterministic=not enable_dropout
        )
        hidden = partitioning.with_sharding_constraint(hidden, ('batch', 'length', 'mlp'))
        return Dense(config.emb_dim, ('mlp', 'embed'), config.dtype, name='wo')(hidden)
