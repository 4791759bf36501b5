"""Codewords from the latents: the start of every codebook, and new places for codewords that nobody uses."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from llmrec_jax.semantic_ids.kmeans import fit_kmeans, nearest_centroids, squared_distances


def initial_codebooks(
    z: Float[np.ndarray, 'sample latent'], codebook_sizes: tuple[int, ...], key: PRNGKeyArray
) -> list[Float[np.ndarray, '_ latent']]:
    """K-means on the latents, then on the residuals, level by level.

    Raises:
      ValueError: if a level has more codewords than there are distinct residuals.
    """
    codebooks, residual = [], z
    for level, size in enumerate(codebook_sizes):
        try:
            codebook = fit_kmeans(residual, size, jax.random.fold_in(key, level), iterations=20)
        except ValueError as error:
            raise ValueError(f'RQ-VAE, level {level}: {error}') from error
        codebooks.append(codebook)
        residual = residual - codebook[nearest_centroids(residual, codebook)]
    return codebooks


def revive(
    codebook: Float[Array, 'codewords latent'],
    dead: Bool[Array, 'codewords'],
    residuals: Float[Array, 'sample latent'],
    key: PRNGKeyArray,
) -> Float[Array, 'codewords latent']:
    """Moves dead codewords onto residuals drawn without replacement, far ones more often.

    Args:
      codebook: of one level.
      dead: which of its codewords are to be moved.
      residuals: what the level is given, at least as many as there are codewords.
      key: for the draw.
    """
    distances = jnp.min(squared_distances(residuals, codebook), axis=1)
    # The top of log-weights plus Gumbel noise is a draw without replacement in proportion to the weights.
    scores = jnp.log(distances + 1e-12) + jax.random.gumbel(key, distances.shape)
    chosen = residuals[jax.lax.top_k(scores, len(codebook))[1]]
    return jnp.where(dead[:, None], chosen[jnp.cumsum(dead) - 1], codebook)
