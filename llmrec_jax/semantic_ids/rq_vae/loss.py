"""The RQ-VAE's loss (papers: TIGER 3.1): reconstruction and quantization, both summed over dimensions."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from llmrec_jax.semantic_ids.rq_vae.network import RqVaeOutput


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
