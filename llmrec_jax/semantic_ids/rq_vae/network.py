"""The RQ-VAE's network, an encoder, one codebook a level and a decoder, and its loss (TIGER 3.1, figure 3).

The loss is reconstruction and quantization, both summed over dimensions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from llmrec_jax.semantic_ids.kmeans import squared_distances


class Mlp(nn.Module):
    """Dense layers with ReLU between them and none after the last.

    Attributes:
      sizes: width of each layer's output.
    """

    sizes: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, 'batch dim_in']) -> Float[Array, 'batch dim_out']:
        """Applies the layers."""
        for size in self.sizes[:-1]:
            x = nn.relu(nn.Dense(size)(x))
        return nn.Dense(self.sizes[-1])(x)


class ResidualCodes(NamedTuple):
    """What residual quantization makes of latents `z`; `z = sum_l codewords[:, l] + remainder`.

    Attributes:
      codes: the nearest codeword at each level.
      residuals: what each level was given, `r_l`; `residuals[:, 0]` is `z`.
      codewords: what each level chose, `e_{l, c_l}`.
      remainder: what the last level left over.
    """

    codes: Int[Array, 'batch levels']
    residuals: Float[Array, 'batch levels latent']
    codewords: Float[Array, 'batch levels latent']
    remainder: Float[Array, 'batch latent']


class RqVaeOutput(NamedTuple):
    """A pass through the network: the reconstructed vectors and what happened in between."""

    reconstruction: Float[Array, 'batch dim']
    quantized: ResidualCodes


class RqVaeNetwork(nn.Module):
    """Residual-quantized autoencoder with a codebook of its own at each level.

    Attributes:
      dim: of the item vectors.
      hidden_sizes: widths of the encoder's hidden layers; the decoder mirrors them.
      latent_dim: of the latents and the codewords.
      codebook_sizes: number of codewords at each level.
    """

    dim: int
    hidden_sizes: tuple[int, ...]
    latent_dim: int
    codebook_sizes: tuple[int, ...]

    def setup(self):
        """Names the parameters: encoder, decoder, codebook_0, codebook_1, ..."""
        self.encoder = Mlp((*self.hidden_sizes, self.latent_dim))
        self.decoder = Mlp((*reversed(self.hidden_sizes), self.dim))
        self.codebooks = [
            self.param(f'codebook_{level}', nn.initializers.normal(1.0), (size, self.latent_dim))
            for level, size in enumerate(self.codebook_sizes)
        ]

    def __call__(self, vectors: Float[Array, 'batch dim']) -> RqVaeOutput:
        """Encodes, quantizes and decodes; the gradient passes the quantizer as if it were the identity."""
        z = self.encode(vectors)
        quantized = residual_codes(z, self.codebooks)
        z_hat = jnp.sum(quantized.codewords, axis=1)
        return RqVaeOutput(self.decode(z + lax.stop_gradient(z_hat - z)), quantized)

    def encode(self, vectors: Float[Array, 'batch dim']) -> Float[Array, 'batch latent']:
        """The latents `z`."""
        return self.encoder(vectors)

    def decode(self, latents: Float[Array, 'batch latent']) -> Float[Array, 'batch dim']:
        """The vectors that latents stand for."""
        return self.decoder(latents)


def residual_codes(
    z: Float[Array, 'batch latent'], codebooks: Sequence[Float[Array, '_ latent']]
) -> ResidualCodes:
    """The nearest codeword of each level to what the levels before it left over; the first of equals.

    Gradients reach a codeword through `codewords` alone, and `z` through `residuals`.
    """
    codes, residuals, codewords = [], [], []
    residual = z
    for codebook in codebooks:
        code = jnp.argmin(squared_distances(lax.stop_gradient(residual), lax.stop_gradient(codebook)), axis=1)
        codeword = codebook[code]
        codes.append(code)
        residuals.append(residual)
        codewords.append(codeword)
        residual = residual - lax.stop_gradient(codeword)
    return ResidualCodes(
        jnp.stack(codes, axis=1), jnp.stack(residuals, axis=1), jnp.stack(codewords, axis=1), residual
    )


class RqVaeLoss(NamedTuple):
    """The two terms, means over the batch of sums over dimensions (and levels)."""

    reconstruction: Float[Array, '']
    quantization: Float[Array, '']

    @property
    def total(self) -> Float[Array, '']:
        """What training minimises."""
        return self.reconstruction + self.quantization


def rq_vae_loss(
    vectors: Float[Array, 'batch dim'], output: RqVaeOutput, commitment_weight: float
) -> RqVaeLoss:
    """`|x - x_hat|^2 + sum_l |sg[r_l] - e_l|^2 + beta |r_l - sg[e_l]|^2`.

    A *mean* over dimensions in the reconstruction alone would let the quantization term win by a factor of
    `dim`, and the codebooks collapse (papers 6, pitfalls).

    Args:
      vectors: the network's input.
      output: what the network made of it.
      commitment_weight: beta.
    """
    residuals, codewords = output.quantized.residuals, output.quantized.codewords
    codebook = jnp.sum((lax.stop_gradient(residuals) - codewords) ** 2, axis=(1, 2))
    commitment = jnp.sum((residuals - lax.stop_gradient(codewords)) ** 2, axis=(1, 2))
    return RqVaeLoss(
        reconstruction=jnp.mean(jnp.sum((vectors - output.reconstruction) ** 2, axis=1)),
        quantization=jnp.mean(codebook + commitment_weight * commitment),
    )
