"""What every text encoder offers."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors, the same ones whenever it is asked."""

    @property
    def name(self) -> str:
        """Tells this encoder, settings and weights included, from every other."""
        ...

    def encode(self, texts: Sequence[str]) -> Float32[np.ndarray, 'texts dim']:
        """A vector of length 1 for each text.

        Raises:
          ValueError: there are no texts, or the encoder can say nothing about one; the message names it.
        """
        ...
