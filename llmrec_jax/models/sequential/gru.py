"""GRU4Rec's encoder (Hidasi et al., arXiv 1511.06939): gated recurrent units over the item sequence."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float

from llmrec_jax.models.dropout import Dropout
from llmrec_jax.models.sequential.layers import KERNEL_INIT, Affine

RECURRENT_INIT = nn.initializers.orthogonal()
GATES = 3


@dataclasses.dataclass(frozen=True)
class GRUConfig:
    """The shape of a GRU4Rec encoder; its output is as wide as the items' vectors.

    Attributes:
      hidden_dim: width of the recurrent state.
      num_layers: recurrent layers, each over the states of the one below.
      embedding_dropout_rate: of the item vectors, in [0, 1).
      hidden_dropout_rate: of every layer's states, in [0, 1).

    Raises:
      ValueError: for a size below 1 or a rate outside [0, 1).
    """

    hidden_dim: int = 100
    num_layers: int = 1
    embedding_dropout_rate: float = 0.0
    hidden_dropout_rate: float = 0.0

    def __post_init__(self):
        for name in ('hidden_dim', 'num_layers'):
            if getattr(self, name) < 1:
                raise ValueError(f'GRUConfig.{name}={getattr(self, name)} must be at least 1')
        for name in ('embedding_dropout_rate', 'hidden_dropout_rate'):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f'GRUConfig.{name}={getattr(self, name)} must be in [0, 1)')


class GRULayer(nn.Module):
    """One recurrent layer, in the form that cuDNN and torch share: the reset gate scales a product.

      r = sigmoid(x W_r + h U_r + b_r),  z = sigmoid(x W_z + h U_z + b_z),
      n = tanh(x W_n + b_n + r * (h U_n + c)),  h' = (1 - z) * n + z * h

    Attributes:
      hidden_dim: width of the state.
    """

    hidden_dim: int

    @nn.compact
    def __call__(
        self, inputs: Float[Array, 'batch length inputs'], mask: Bool[Array, 'batch length']
    ) -> Float[Array, 'batch length hidden']:
        """The state after each position; a position of padding hands on the state before it."""
        hidden = self.hidden_dim
        gates = ('stack', 'kv')
        kernel = partitioning.param_with_axes(
            'kernel', _gate_wise(KERNEL_INIT), (inputs.shape[-1], GATES, hidden), axes=('embed', *gates)
        )
        recurrent = partitioning.param_with_axes(
            'recurrent_kernel', _gate_wise(RECURRENT_INIT), (hidden, GATES, hidden), axes=('embed', *gates)
        )
        bias = partitioning.param_with_axes('bias', nn.initializers.zeros, (GATES, hidden), axes=gates)
        candidate_bias = partitioning.param_with_axes(
            'candidate_bias', nn.initializers.zeros, (hidden,), axes=('kv',)
        )
        # What does not depend on the state is one product for all positions.
        driven = jnp.einsum('bld,dgh->lbgh', inputs, kernel) + jnp.expand_dims(bias, (0, 1))

        def step(state: Array, position: tuple[Array, Array]) -> tuple[Array, Array]:
            driven, real = position
            echoed = jnp.einsum('bh,hgk->bgk', state, recurrent)
            reset, update = jnp.moveaxis(jax.nn.sigmoid(driven[:, :2] + echoed[:, :2]), 1, 0)
            candidate = jnp.tanh(driven[:, 2] + reset * (echoed[:, 2] + jnp.expand_dims(candidate_bias, 0)))
            state = jnp.where(real[:, None], (1 - update) * candidate + update * state, state)
            return state, state

        first = jnp.zeros((inputs.shape[0], hidden), inputs.dtype)
        _, states = jax.lax.scan(step, first, (driven, mask.T))
        return jnp.moveaxis(states, 0, 1)


class GRUEncoder(nn.Module):
    """Recurrent layers, and a linear map to the width of the items' vectors.

    Attributes:
      config: its shape.
    """

    config: GRUConfig

    @nn.compact
    def __call__(
        self,
        embedded: Float[Array, 'batch length dim'],
        mask: Bool[Array, 'batch length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        """See `SequenceEncoder`; states of padding are zero."""
        config = self.config
        states = Dropout(config.embedding_dropout_rate)(embedded, deterministic=not enable_dropout)
        for layer in range(config.num_layers):
            states = GRULayer(config.hidden_dim, name=f'layers_{layer}')(states, mask)
            states = Dropout(config.hidden_dropout_rate)(states, deterministic=not enable_dropout)
        states = Affine(embedded.shape[-1], use_bias=False, name='output')(states)
        return jnp.where(mask[..., None], states, 0.0)


def _gate_wise(initializer: nn.initializers.Initializer) -> nn.initializers.Initializer:
    """Draws the kernel [inputs, gates, hidden] a gate at a time, each by the sizes of its own matrix."""

    def init(key, shape, dtype=jnp.float32):
        inputs, gates, hidden = shape
        drawn = [initializer(gate_key, (inputs, hidden), dtype) for gate_key in jax.random.split(key, gates)]
        return jnp.stack(drawn, axis=1)

    return init
