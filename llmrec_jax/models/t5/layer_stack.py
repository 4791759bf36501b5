"""Runs a stack of layers: one by one or scanned, with or without rematerialization."""

from collections.abc import Sequence
from typing import Any

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
