"""Rotary positions (Su et al., https://arxiv.org/abs/2104.09864), in Hugging Face's half-split layout.

Dimension i of a head is rotated together with dimension i + head_dim / 2. Meta's and GGUF's LLaMA files pair
neighbours instead: their query and key rows are put in another order when they are read. A mix-up raises
nothing; the network only gets worse.
"""

import dataclasses
from typing import Protocol, no_type_check, runtime_checkable

import flax.struct
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


@runtime_checkable
class RopeScaling(Protocol):
    """How the angles of a network are stretched that was trained on shorter texts first."""

    def scaled(self, frequencies: Float[np.ndarray, 'half']) -> Float[np.ndarray, 'half']:
        """The frequencies that are used."""
        ...


@dataclasses.dataclass(frozen=True)
class LinearRope:
    """All positions are divided by `factor`: Gemma 3 from 4B on."""

    factor: float

    def scaled(self, frequencies: Float[np.ndarray, 'half']) -> Float[np.ndarray, 'half']:
        """See `RopeScaling`."""
        return frequencies / self.factor


@dataclasses.dataclass(frozen=True)
class Llama3Rope:
    """LLaMA 3.1 and later: slow frequencies are divided, fast ones kept, those between interpolated.

    Attributes:
      factor: what slow frequencies are divided by.
      low_freq_factor: a frequency is slow that turns fewer times in the original context.
      high_freq_factor: a frequency is fast that turns more often in it.
      original_context_length: tokens of the texts that the network was trained on first.
    """

    factor: float
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context_length: int = 8192

    def scaled(self, frequencies: Float[np.ndarray, 'half']) -> Float[np.ndarray, 'half']:
        """See `RopeScaling`."""
        turns = self.original_context_length * frequencies / (2 * np.pi)
        smooth = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        smooth = np.clip(smooth, 0.0, 1.0)
        return frequencies * (smooth + (1 - smooth) / self.factor)


# jax.tree functions rebuild pytrees around whatever they map to, so the fields' types are not checked.
@no_type_check
@flax.struct.dataclass
class Rotation:
    """Cosines and sines of the angles of each position, float32; they rotate heads of twice as many dims."""

    cos: Float[Array, 'batch length half']
    sin: Float[Array, 'batch length half']


def rotation(
    positions: Int[Array, 'batch length'], head_dim: int, base: float, scaling: RopeScaling | None
) -> Rotation:
    """The rotation at each of `positions`.

    Args:
      positions: counted from 0 within a text.
      head_dim: dimensions of a head; even.
      base: the slowest frequency turns once in some 2 pi `base` positions.
      scaling: None for the frequencies as they are.
    """
    frequencies = base ** -(np.arange(0, head_dim, 2) / head_dim)
    if scaling is not None:
        frequencies = scaling.scaled(frequencies)
    angles = jnp.einsum('bl,f->blf', positions.astype(jnp.float32), jnp.asarray(frequencies, jnp.float32))
    return Rotation(cos=jnp.cos(angles), sin=jnp.sin(angles))


def rotated(heads: Float[Array, 'batch length *heads head_dim'], by: Rotation) -> Float[Array, '...']:
    """`heads` turned by the angles of their positions; float32."""
    shape = (*by.cos.shape[:2], *[1] * (heads.ndim - 3), by.cos.shape[2])
    cos, sin = by.cos.reshape(shape), by.sin.reshape(shape)
    first, second = jnp.split(heads.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
