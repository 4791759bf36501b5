"""The RQ-VAE as a quantizer."""

import dataclasses

import numpy as np
from jaxtyping import Float

from llmrec_jax.semantic_ids.quantization import Progress, Quantization, check_vectors
from llmrec_jax.semantic_ids.residual_kmeans import assign_codes
from llmrec_jax.semantic_ids.rq_vae.network import RqVaeNetwork
from llmrec_jax.semantic_ids.rq_vae.training import (
    RqVaeOptimizer,
    TrainingSettings,
    decode_all,
    encode_all,
    train,
)


@dataclasses.dataclass(frozen=True)
class RqVae:
    """Residual-quantized variational autoencoder (papers: TIGER 3.1).

    Attributes:
      codebook_sizes: number of codewords at each level.
      hidden_sizes: widths of the encoder's hidden layers; the decoder mirrors them.
      latent_dim: of the latents and the codewords.
      commitment_weight: beta, how strongly latents are drawn to their codewords.
      steps: training steps.
      batch_size: items a step.
      round_steps: steps between two looks for dead codewords, and between two points of the history.
      dead_share: a codeword is dead, and moved to where it is needed, if at most this share of the average
        codeword's items have it.
      sample_size: codebooks start from, and are revived from, at most so many items.
      optimizer: see `RqVaeOptimizer`.
      separate_collisions: whether the last level tells items with equal codes apart (`residual_kmeans`), or
        every item has its nearest codeword, as in the paper.
    """

    codebook_sizes: tuple[int, ...] = (256, 256, 256)
    hidden_sizes: tuple[int, ...] = (512, 256, 128)
    latent_dim: int = 32
    commitment_weight: float = 0.25
    steps: int = 2000
    batch_size: int = 1024
    round_steps: int = 50
    dead_share: float = 0.05
    sample_size: int = 16_384
    optimizer: RqVaeOptimizer = dataclasses.field(default_factory=RqVaeOptimizer)
    separate_collisions: bool = True

    def quantize(
        self, vectors: Float[np.ndarray, 'items dim'], seed: int, progress: Progress | None = None
    ) -> Quantization:
        """Trains on the vectors and gives each its codes.

        Raises:
          ValueError: on unfit vectors, or fewer (distinct) vectors than codewords.
          FloatingPointError: if training diverges.
        """
        vectors = check_vectors(vectors, codewords=max(self.codebook_sizes))
        mean = vectors.mean(axis=0)
        scale = np.float32(vectors.std() or 1.0)
        scaled = (vectors - mean) / scale
        network = RqVaeNetwork(vectors.shape[1], self.hidden_sizes, self.latent_dim, self.codebook_sizes)
        settings = TrainingSettings(
            self.steps,
            self.batch_size,
            self.round_steps,
            self.commitment_weight,
            self.dead_share,
            self.sample_size,
            self.optimizer,
        )
        params, history = train(network, settings, scaled, seed, progress)
        codebooks = [np.asarray(params[f'codebook_{level}']) for level in range(len(self.codebook_sizes))]
        assigned = assign_codes(
            encode_all(network, params, scaled), codebooks, separate_collisions=self.separate_collisions
        )
        return Quantization(
            assigned.codes,
            self.codebook_sizes,
            decode_all(network, params, assigned.reconstruction) * scale + mean,
            history,
            assigned.nearest_collision_rate,
            assigned.moved_share,
        )
