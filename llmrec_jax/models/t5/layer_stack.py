"""Runs a stack of layers: one by one or scanned, with or without rematerialization.

Parameters convert between a tree with one subtree a layer and one with stacked layers.
"""

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning

from llmrec_jax.models.t5.config import REMAT_POLICIES, T5Config


def run_layers(
    config: T5Config,
    layers: nn.Module | Sequence[nn.Module],
    inputs: Any,
    context: Sequence[Any],
    depth: int,
    enable_dropout: bool,
) -> Any:
    """Feeds `inputs` through the stack.

    Args:
      config: says whether to scan and what to rematerialize.
      layers: the layers; the one layer whose parameters are stacked where `config.scan_layers`.
      inputs: what the first layer takes; each layer returns the like.
      context: further arguments, the same for all layers.
      depth: number of layers.
      enable_dropout: handed to each layer.

    Returns:
      What the last layer returns.
    """

    def call(layer, carried, *context):
        return layer(carried, *context, enable_dropout=enable_dropout)

    if config.remat_policy != 'none':
        # Under a scan the loop itself keeps XLA from undoing the rematerialization.
        call = nn.remat(call, policy=REMAT_POLICIES[config.remat_policy], prevent_cse=not config.scan_layers)
    if not config.scan_layers:
        for layer in layers:
            inputs = call(layer, inputs, *context)
        return inputs
    scanned = partitioning.scan_with_axes(
        lambda layer, carried, *context: (call(layer, carried, *context), None),
        variable_axes={'params': 0},
        split_rngs={'params': True, 'dropout': True},
        in_axes=(nn.broadcast,) * len(context),
        length=depth,
        axis_name='layers',
    )
    return scanned(layers, inputs, *context)[0]


# A decoder-only network has the latter alone.
STACKS = ('encoder', 'decoder')


def stack_layers(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters of `scan_layers=False` as those of `scan_layers=True`.

    `encoder/layers_0/…`, `encoder/layers_1/…` become `encoder/layers/…` with a leading axis over layers.
    """
    stacked = dict(params)
    for name in filter(params.__contains__, STACKS):
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
    for name in filter(params.__contains__, STACKS):
        layers = params[name]['layers']
        depth = jax.tree.leaves(layers)[0].shape[0]
        rest = {key: leaf for key, leaf in params[name].items() if key != 'layers'}
        unstacked[name] = rest | {
            f'layers_{index}': jax.tree.map(lambda leaf, index=index: leaf[index], layers)
            for index in range(depth)
        }
    return unstacked
