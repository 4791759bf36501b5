"""Parameters that training leaves as they are, apart from those that it trains.

Frozen parameters have no gradients, no place in the optimizer's state and none in the run's checkpoints: they
are read from the checkpoint that the run began with, whenever it starts (`base_checkpoints`).
"""

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import PyTree

DTYPES = ('float32', 'bfloat16')


def check_trained(patterns: Sequence[str], frozen_dtype: str) -> None:
    """Checks what a trainer says of the parameters that it trains.

    Raises:
      ValueError: for a pattern that is no regular expression or a type that is none of `DTYPES`.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f'Trainer.trained: {pattern!r} is no regular expression: {error}') from error
    if frozen_dtype not in DTYPES:
        raise ValueError(f'Trainer.frozen_dtype={frozen_dtype!r} must be one of {", ".join(DTYPES)}')


def split(params: PyTree[Any], patterns: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters that are trained, and the frozen ones.

    Args:
      params: of the network, or their shapes.
      patterns: regular expressions, of which one matches the whole path of each parameter that is trained;
        none where all are.

    Raises:
      ValueError: when a pattern matches no parameter.
    """
    if not patterns:
        return params, {}
    named = traverse_util.flatten_dict(params, sep='/')
    for pattern in patterns:
        if not any(re.fullmatch(pattern, path) for path in named):
            known = sorted({re.sub(r'layers_\d+', 'layers_*', path) for path in named})
            raise ValueError(
                f'Trainer.trained: {pattern!r} matches no parameter of the network; it has {", ".join(known)}'
            )
    trained = {path for path in named if any(re.fullmatch(pattern, path) for pattern in patterns)}
    return (
        traverse_util.unflatten_dict({path: named[path] for path in named if path in trained}, sep='/'),
        traverse_util.unflatten_dict({path: named[path] for path in named if path not in trained}, sep='/'),
    )


def joined(trained: PyTree[Any], frozen: PyTree[Any]) -> PyTree[Any]:
    """The parameters that `split` parted."""
    if not frozen:
        return trained
    return traverse_util.unflatten_dict(
        traverse_util.flatten_dict(trained) | traverse_util.flatten_dict(frozen)
    )


def held(
    abstract: PyTree[jax.ShapeDtypeStruct], patterns: Sequence[str], frozen_dtype: str
) -> PyTree[jax.ShapeDtypeStruct]:
    """Shapes of parameters with the type in which frozen ones are held.

    Args:
      abstract: shapes, types and shardings of all parameters.
      patterns: see `split`.
      frozen_dtype: of the frozen ones.
    """
    trained, frozen = split(abstract, patterns)
    cast = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(frozen_dtype), sharding=leaf.sharding), frozen
    )
    return joined(trained, cast)
