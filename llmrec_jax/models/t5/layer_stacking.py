"""Converts parameters between a tree with one subtree a layer and one with stacked layers."""

import re
from typing import Any

import jax
import jax.numpy as jnp

STACKS = ('encoder', 'decoder')


def stack_layers(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters of `scan_layers=False` as those of `scan_layers=True`.

    `encoder/layers_0/…`, `encoder/layers_1/…` become `encoder/layers/…` with a leading axis over layers.
    """
    stacked = dict(params)
    for name in STACKS:
        layers = {
            int(match[1]): layer
            for key, layer in params[name].items()
            if (match := re.fullmatch(r'layers_(\d+)', key))
        }
        rest = {key: leaf for key, leaf in params[name].items() if not key.startswith('layers_')}
        in_order = [layers[index] for index in range(len(layers))]
        stacked[name] = rest | {'layers': jax.tree.map(lambda *leaves: jnp.stack(leaves), *in_order)}
    return stacked


def unstack_layers(params: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `stack_layers`."""
    unstacked = dict(params)
    for name in STACKS:
        layers = params[name]['layers']
        depth = jax.tree.leaves(layers)[0].shape[0]
        rest = {key: leaf for key, leaf in params[name].items() if key != 'layers'}
        unstacked[name] = rest | {
            f'layers_{index}': jax.tree.map(lambda leaf, index=index: leaf[index], layers)
            for index in range(depth)
        }
    return unstacked
