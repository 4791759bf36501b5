"""Caser's encoder (Tang and Wang, WSDM 2018): convolutions over the window of the last items."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float

from llmrec_jax.models.dropout import Dropout
from llmrec_jax.models.sequential.layers import KERNEL_INIT, Affine


@dataclasses.dataclass(frozen=True)
class CaserConfig:
    """The shape of a Caser encoder; its width is that of the items' vectors.

    Attributes:
      window: items that a state sees (L in the paper).
      horizontal_filters: filters of each height from 1 to `window`.
      vertical_filters: weighted sums of the window's items.
      dropout_rate: of the filters' outputs, in [0, 1).

    Raises:
      ValueError: for a size below 1 or a rate outside [0, 1).
    """

    window: int = 5
    horizontal_filters: int = 16
    vertical_filters: int = 4
    dropout_rate: float = 0.5

    def __post_init__(self):
        for name in ('window', 'horizontal_filters', 'vertical_filters'):
            if getattr(self, name) < 1:
                raise ValueError(f'CaserConfig.{name}={getattr(self, name)} must be at least 1')
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(f'CaserConfig.dropout_rate={self.dropout_rate} must be in [0, 1)')


class CaserEncoder(nn.Module):
    """Horizontal and vertical filters over every window of a sequence.

    Two parts of the paper's network are not here. A user's own vector joins the output layer there: without
    it any history can be answered, and a new user's too. The output layer has a table of its own there: here
    the states meet the item table that all encoders share, behind a linear map.

    Attributes:
      config: its shape.
    """

    config: CaserConfig

    @nn.compact
    def __call__(
        self,
        embedded: Float[Array, 'batch length dim'],
        mask: Bool[Array, 'batch length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        """See `SequenceEncoder`; a state depends on the `window` positions that end at its own."""
        config = self.config
        length, dim = embedded.shape[1:]
        # Before the first item a window shows zeros, whether or not the batch has columns of padding there.
        windowed = jnp.pad(
            jnp.where(mask[..., None], embedded, 0.0), ((0, 0), (config.window - 1, 0), (0, 0))
        )
        found = [self._horizontal(windowed, height) for height in range(1, config.window + 1)]
        features = jnp.concatenate([*found, self._vertical(windowed, length)], axis=-1)
        features = Dropout(config.dropout_rate)(features, deterministic=not enable_dropout)
        states = jax.nn.relu(Affine(dim, name='hidden')(features))
        return jnp.where(mask[..., None], Affine(dim, use_bias=False, name='output')(states), 0.0)

    def _horizontal(
        self, windowed: Float[Array, 'batch padded dim'], height: int
    ) -> Float[Array, 'batch length filters']:
        """Each filter of `height` rows at its best place within the window (equations 3 to 5)."""
        config = self.config
        kernel = partitioning.param_with_axes(
            f'horizontal_kernel_{height}',
            KERNEL_INIT,
            (height, windowed.shape[-1], config.horizontal_filters),
            axes=('stack', 'embed', 'kv'),
        )
        bias = partitioning.param_with_axes(
            f'horizontal_bias_{height}', nn.initializers.zeros, (config.horizontal_filters,), axes=('kv',)
        )
        answers = jax.lax.conv_general_dilated(
            windowed, kernel, (1,), 'VALID', dimension_numbers=('NWC', 'WIO', 'NWC')
        )
        best = nn.max_pool(answers, (config.window - height + 1,))
        return jax.nn.relu(best + jnp.expand_dims(bias, (0, 1)))

    def _vertical(
        self, windowed: Float[Array, 'batch padded dim'], length: int
    ) -> Float[Array, 'batch length features']:
        """Each filter's weighted sum of the window's items (equations 6 and 7)."""
        config = self.config
        kernel = partitioning.param_with_axes(
            'vertical_kernel', KERNEL_INIT, (config.window, config.vertical_filters), axes=('stack', 'kv')
        )
        rows = jnp.stack([windowed[:, row : row + length] for row in range(config.window)])
        sums = jnp.einsum('wbld,wf->blfd', rows, kernel)
        return sums.reshape(*sums.shape[:2], -1)
