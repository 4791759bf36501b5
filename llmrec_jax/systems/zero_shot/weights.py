"""Where the network of a system that trains none comes from."""

import dataclasses
import os
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from llmrec_jax.models.decoder_only import DecoderConfig, DecoderOnlyTransformer
from llmrec_jax.models.gguf_weights import load_gguf
from llmrec_jax.models.t5.layer_stack import stack_layers


@runtime_checkable
class Weights(Protocol):
    """A frozen dataclass: a decoder with its parameters, read where they are needed."""

    def load(self) -> tuple[DecoderConfig, Any]:
        """Configuration and parameters."""


@dataclasses.dataclass(frozen=True)
class GgufWeights:
    """A published network in llama.cpp's format.

    Attributes:
      path: the file.
    """

    path: str | os.PathLike

    def load(self) -> tuple[DecoderConfig, Any]:
        """See `Weights`; raises as `models.gguf_weights.load_gguf`. One layer's program serves all layers."""
        config, params = load_gguf(os.fspath(self.path))
        return dataclasses.replace(config, scan_layers=True), stack_layers(params)


@dataclasses.dataclass(frozen=True)
class RandomWeights:
    """A network that has learned nothing, for tests and as a floor.

    Attributes:
      config: its shape.
      seed: of its parameters.
    """

    config: DecoderConfig
    seed: int = 0

    def load(self) -> tuple[DecoderConfig, Any]:
        """See `Weights`."""
        module = DecoderOnlyTransformer(self.config)
        variables = module.init(jax.random.key(self.seed), jnp.ones((1, 2), jnp.int32), enable_dropout=False)
        return self.config, variables['params']
