"""Semi-synthetic items: true items some of whose codes are others (VQ-Rec, section 3.3)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key


def semi_synthetic_codes(
    codes: Int[Array, '*batch digits'], key: Key[Array, ''], codewords: int, probability: float = 0.75
) -> Int[Array, '*batch digits']:
    """Replaces each code, with `probability`, by one drawn uniformly from the codewords of its digit.

    Args:
      codes: of true items.
      key: of the draws.
      codewords: of each digit.
      probability: of a replacement, which may draw the code that was there.
    """
    choice_key, code_key = jax.random.split(key)
    replaced = jax.random.bernoulli(choice_key, probability, codes.shape)
    return jnp.where(replaced, jax.random.randint(code_key, codes.shape, 0, codewords), codes)
