"""Permutations that gradients can find: Gumbel-Sinkhorn (Mena et al., ICLR 2018; VQ-Rec, section 3.4)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from scipy.optimize import linear_sum_assignment


def sinkhorn(logits: Float[Array, '*batch n n'], iterations: int) -> Float[Array, '*batch n n']:
    """Brings `exp(logits)` near to doubly stochastic: rows and columns are normalised in turn, in logarithms.

    Rows are normalised last, so that their sums are exactly 1.
    """
    for _ in range(iterations):
        logits = logits - jax.nn.logsumexp(logits, axis=-2, keepdims=True)
        logits = logits - jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    return jnp.exp(logits)


def gumbel_sinkhorn(
    logits: Float[Array, '*batch n n'],
    key: Key[Array, ''] | None,
    temperature: float = 0.7,
    iterations: int = 3,
) -> Float[Array, '*batch n n']:
    """A relaxed permutation drawn in the neighbourhood of the logits; without a key, their own.

    Args:
      logits: `logits[..., i, j]` is high where row `i` should take column `j`.
      key: of the Gumbel noise; None for none.
      temperature: the lower, the nearer to a permutation.
      iterations: of Sinkhorn's normalisation.
    """
    if key is not None:
        logits = logits + jax.random.gumbel(key, logits.shape)
    return sinkhorn(logits / temperature, iterations)


def hard_rows(relaxed: Float[Array, '*batch n n']) -> Float[Array, '*batch n n']:
    """The largest entry of each row as 1 and the others as 0, with the gradient of `relaxed`.

    Two rows may take the same column: in training VQ-Rec asks for no more. What is kept after training is a
    permutation, see `nearest_permutation`.
    """
    hard = jax.nn.one_hot(jnp.argmax(relaxed, axis=-1), relaxed.shape[-1], dtype=relaxed.dtype)
    # The forward value is exactly `hard`; the gradient passes through `relaxed`.
    return hard + (relaxed - jax.lax.stop_gradient(relaxed))


def nearest_permutation(logits: Float[np.ndarray, 'digits n n']) -> Int[np.ndarray, 'digits n']:
    """For each digit the permutation of the largest sum of logits: row `i` takes column `found[digit, i]`."""
    return np.stack([linear_sum_assignment(digit, maximize=True)[1] for digit in logits])
