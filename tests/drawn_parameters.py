"""Parameters for tests that are not about initialisation, without a compiled program that draws them."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def drawn(model: Any, shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> Any:
    """Parameters of a model.

    Args:
      model: what has `get_initial_variables`.
      shapes: shape of each feature that the model is fed.
      seed: of the draw.
    """
    return drawn_like(
        jax.eval_shape(lambda: model.get_initial_variables(jax.random.key(0), shapes)['params']), seed
    )


def drawn_like(shaped: Any, seed: int = 0) -> Any:
    """A tree of numbers for one of shapes: scales near 1, small biases, kernels that keep a variance."""
    rng = np.random.default_rng(seed)

    def leaf(path: tuple[Any, ...], shaped: jax.ShapeDtypeStruct) -> jax.Array:
        noise = rng.standard_normal(shaped.shape)
        name = path[-1].key
        if name == 'scale':
            numbers = 1 + 0.1 * noise
        elif 'embedding' in name:
            numbers = noise
        elif len(shaped.shape) < 2:
            numbers = 0.1 * noise
        else:
            numbers = noise / math.sqrt(shaped.shape[-2])
        return jnp.asarray(numbers, shaped.dtype)

    return jax.tree_util.tree_map_with_path(leaf, shaped)
