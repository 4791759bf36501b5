"""New places for codewords that nobody uses."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from llmrec_jax.semantic_ids.kmeans import squared_distances


def revive(
    codebook: Float[Array, 'codewords latent'],
    residuals: Float[Array, 'sample latent'],
    dead_share: float | Float[Array, ''],
    key: PRNGKeyArray,
) -> Float[Array, 'codewords latent']:
    """Moves dead codewords onto residuals drawn without replacement, far ones more often.

    Args:
      codebook: of one level.
      residuals: what the level is given, at least as many as there are codewords.
      dead_share: a codeword is dead if at most this share of the average codeword's residuals have it.
      key: for the draw.
    """
    all_distances = squared_distances(residuals, codebook)
    uses = jnp.zeros(len(codebook)).at[jnp.argmin(all_distances, axis=1)].add(1)
    dead = uses <= dead_share * jnp.mean(uses)
    distances = jnp.min(all_distances, axis=1)
    # The top of log-weights plus Gumbel noise is a draw without replacement in proportion to the weights.
    scores = jnp.log(distances + 1e-12) + jax.random.gumbel(key, distances.shape)
    chosen = residuals[jax.lax.top_k(scores, len(codebook))[1]]
    return jnp.where(dead[:, None], chosen[jnp.cumsum(dead) - 1], codebook)
