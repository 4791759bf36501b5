"""Dropout whose masks cost few random bits: one each where the rate is a half.

A draw of 32 bits an element, as `jax.random.bernoulli` makes it, costs a small model on a processor as
much as a matrix product does. Here 32 elements share a word for each binary digit of the rate.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Key, UInt32

# Binary digits that the rate of keeping is rounded to.
DIGITS = 12
WORD = 32


class Dropout(nn.Module):
    """Sets elements to zero at random, and divides the others by the share that is kept.

    The rate is rounded to a multiple of 1/4096 (0.2 to 819/4096), but never to 0 or 1; what is kept is
    divided by the rounded share, so that the mean is that of the inputs.

    Attributes:
      rate: the share that is set to zero, in [0, 1); 0 draws nothing.
    """

    rate: float

    @nn.compact
    def __call__(self, inputs: Float[Array, '*shape'], *, deterministic: bool) -> Float[Array, '*shape']:
        """The inputs, or where not `deterministic` the masked ones, by the random stream 'dropout'."""
        if deterministic or self.rate == 0:
            return inputs
        share = kept_of(self.rate)
        mask = kept(self.make_rng('dropout'), share, inputs.shape)
        return jnp.where(mask, inputs * (2**DIGITS / share), 0.0)


def kept_of(rate: float) -> int:
    """How many of 2**DIGITS elements are kept at a rate of dropout."""
    return min(max(round((1 - rate) * 2**DIGITS), 1), 2**DIGITS - 1)


def kept(key: Key[Array, ''], share: int, shape: tuple[int, ...]) -> Bool[Array, '...']:
    """A mask that is true with probability `share / 2**DIGITS`, independently in every element.

    The words of different rows of the last axis are drawn on their own, so that a mask whose other axes lie
    over devices is drawn where it lies.

    Args:
      key: of the draws.
      share: above 0 and below 2**DIGITS.
      shape: of the mask, of one axis or more.
    """
    digits = [share >> place & 1 for place in range(DIGITS)]
    # Digits of 0 after the last 1 decide nothing.
    digits = digits[digits.index(1) :]
    words = -(-shape[-1] // WORD)
    drawn = jax.random.bits(key, (len(digits), *shape[:-1], words), jnp.uint32)
    # Whether a uniform number of as many digits is below the share, from the last digit to the first: at a
    # 1 of the share a 0 makes it so whatever the later digits said, at a 0 of the share a 1 undoes it.
    below = ~drawn[0]
    for digit, uniform in zip(digits[1:], drawn[1:], strict=True):
        below = below | ~uniform if digit else below & ~uniform
    return _bits(below)[..., : shape[-1]]


def _bits(words: UInt32[Array, '*batch words']) -> Bool[Array, '*batch bits']:
    places = jnp.arange(WORD, dtype=jnp.uint32)
    bits = words[..., None] >> places & 1
    return bits.reshape(*words.shape[:-1], -1).astype(bool)
