"""From frozen text vectors to item vectors.

UniSRec whitens them by a learned shift and projection (section 2.1.2) and mixes several such experts by a
gate that each text decides (2.1.3). ZESRec has a universal item embedding network (section 3.3).
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float

from llmrec_jax.models.sequential.layers import Affine

KERNEL_INIT = nn.initializers.normal(0.02)
METHODS = ('pca', 'zca')
# A direction with less of the largest variance is rounding error, and scaling it to variance 1 is noise.
SMALLEST_SHARE = 1e-7


class ParametricWhitening(nn.Module):
    """`(dropout(x) - b) W`, with `b` and `W` learned.

    Attributes:
      dim: width of the output.
      dropout: share of the input's components that are dropped in training.
    """

    dim: int
    dropout: float = 0.2

    @nn.compact
    def __call__(
        self, vectors: Float[Array, '*batch text_dim'], *, enable_dropout: bool
    ) -> Float[Array, '*batch dim']:
        """The projected vectors."""
        width = vectors.shape[-1]
        shift = partitioning.param_with_axes('shift', nn.initializers.zeros, (width,), axes=('kv',))
        kernel = partitioning.param_with_axes('kernel', KERNEL_INIT, (width, self.dim), axes=('kv', 'embed'))
        dropped = nn.Dropout(self.dropout, deterministic=not enable_dropout)(vectors)
        return (dropped - jnp.broadcast_to(shift, dropped.shape)) @ kernel


def whitening_of(
    vectors: Float[np.ndarray, 'items text_dim'], dim: int, method: str = 'pca'
) -> tuple[Float[np.ndarray, 'text_dim dim'], Float[np.ndarray, 'text_dim']]:
    """`W` and `b` under which the vectors have mean 0 and covariance I.

    Args:
      vectors: one row an item.
      dim: width of the output.
      method: 'pca' keeps the `dim` directions of most variance; 'zca' turns the result back, so that it is
        the whitening nearest to the vectors themselves, and needs `dim` to be their width.

    Returns:
      `W` and `b`, as `ParametricWhitening` holds them.

    Raises:
      ValueError: for an unknown method, a `dim` that the method cannot give, or vectors that vary in fewer
        than `dim` directions.
    """
    if method not in METHODS:
        raise ValueError(f'whitening method {method!r} must be one of {METHODS}')
    width = vectors.shape[1]
    if dim > width or (method == 'zca' and dim != width):
        raise ValueError(
            f'{method} whitening of vectors of width {width} gives '
            + (f'{width} dimensions' if method == 'zca' else f'at most {width} dimensions')
            + f', not {dim}'
        )
    mean = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors.astype(np.float64) - mean
    variances, axes = np.linalg.eigh(centred.T @ centred / len(vectors))
    variances, axes = variances[::-1], axes[:, ::-1]
    varied = int((variances > SMALLEST_SHARE * variances[0]).sum()) if variances[0] > 0 else 0
    if dim > varied:
        raise ValueError(
            f'{len(vectors)} vectors of width {width} vary in {varied} directions only: ask for at most '
            f'{varied} dimensions, or describe the items by more text'
        )
    kernel = axes[:, :dim] / np.sqrt(variances[:dim])
    if method == 'zca':
        kernel = kernel @ axes.T
    return kernel.astype(np.float32), mean.astype(np.float32)


# The released code adds it to the noise's scale, so that the noise never vanishes in training.
NOISE_FLOOR = 1e-2


class MixtureAdaptor(nn.Module):
    """Gate-weighted sum of parametric whitenings.

    `gate = softmax(x W_g + noise * (softplus(x W_n) + 0.01))`, with standard normal noise in training and
    none otherwise. Dropout takes the same components of a vector from every expert, where the released code
    draws them for each expert anew.

    Attributes:
      dim: width of the output.
      experts: number of whitenings.
      dropout: share of the input's components that are dropped before the experts in training.
      noise: whether the gate is noisy in training.
    """

    dim: int
    experts: int = 8
    dropout: float = 0.2
    noise: bool = True

    @nn.compact
    def __call__(
        self, vectors: Float[Array, '*batch text_dim'], *, enable_dropout: bool
    ) -> Float[Array, '*batch dim']:
        """The adapted vectors; with dropout it needs the random stream 'dropout'."""
        width = vectors.shape[-1]
        shift = partitioning.param_with_axes(
            'shift', nn.initializers.zeros, (self.experts, width), axes=('layers', 'kv')
        )
        kernel = partitioning.param_with_axes(
            'kernel', KERNEL_INIT, (self.experts, width, self.dim), axes=('layers', 'kv', 'embed')
        )
        dropped = nn.Dropout(self.dropout, deterministic=not enable_dropout)(vectors)
        whitened = jnp.einsum('...w,ewd->...ed', dropped, kernel)
        whitened -= jnp.broadcast_to(jnp.einsum('ew,ewd->ed', shift, kernel), whitened.shape)
        return jnp.einsum('...e,...ed->...d', self._gate(vectors, enable_dropout), whitened)

    def _gate(
        self, vectors: Float[Array, '*batch text_dim'], enable_dropout: bool
    ) -> Float[Array, '*batch experts']:
        shape, axes = (vectors.shape[-1], self.experts), ('kv', 'layers')
        logits = vectors @ partitioning.param_with_axes('gate', nn.initializers.zeros, shape, axes=axes)
        if self.noise:
            scale = partitioning.param_with_axes('gate_noise', nn.initializers.zeros, shape, axes=axes)
            if enable_dropout:
                spread = jax.nn.softplus(vectors @ scale) + NOISE_FLOOR
                logits = logits + spread * jax.random.normal(self.make_rng('dropout'), logits.shape)
        return jax.nn.softmax(logits, axis=-1)


class UniversalEmbedding(nn.Module):
    """One affine map, or several with ReLU between them; the paper does not say how many.

    Attributes:
      dim: width of the output.
      hidden: widths between the maps; empty for one map.
    """

    dim: int
    hidden: tuple[int, ...] = ()

    @nn.compact
    def __call__(
        self, vectors: Float[Array, '*batch text_dim'], *, enable_dropout: bool
    ) -> Float[Array, '*batch dim']:
        """The vectors of items; nothing in it is dropped."""
        del enable_dropout
        for layer, width in enumerate(self.hidden):
            vectors = jax.nn.relu(Affine(width, name=f'layers_{layer}')(vectors))
        return Affine(self.dim, name='out')(vectors)
