"""The stack of decoder layers, over whole rows or over the newest tokens of continuations."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.models.decoder_only.attention import Attention, KeysValues, soft_capped
from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.decoder_only.context import Contexts, chosen_context
from llmrec_jax.models.decoder_only.layers import GatedFeedForward, Projection, TokenEmbedder, block_norm
from llmrec_jax.models.t5.config import REMAT_POLICIES

RESIDUAL_AXES = ('batch', 'length', 'embed')
# One entry a layer; with scanned layers one entry, whose leaves have a leading axis over layers.
LayerStates = list[Any] | Any
# Of a cache that follows its beams.
CACHE_LAYER_AXIS = 2  # [batch, beam, layers, steps, groups, head_dim]


class DecoderLayer(nn.Module):
    """Attention, then feed-forward; each normalized before, and after too where the network says so."""

    config: DecoderConfig

    def setup(self):
        """Declares the blocks and their norms, under the names of T5X and MaxText.

        `post_self_attention_layer_norm` is Hugging Face's `post_attention_layernorm`: the norm before the
        feed-forward block, but in Gemma 2 and 3 that behind the attention.
        """
        config = self.config
        self.pre_self_attention_layer_norm = block_norm(config)
        self.self_attention = Attention(config)
        self.post_self_attention_layer_norm = block_norm(config)
        self.mlp = GatedFeedForward(config)
        if config.post_norms:
            self.pre_mlp_layer_norm = block_norm(config)
            self.post_mlp_layer_norm = block_norm(config)

    def __call__(
        self, inputs: Float[Array, 'batch length embed'], is_local: Bool[Array, ''], contexts: Contexts
    ) -> tuple[Float[Array, 'batch length embed'], None]:
        """The layer's output for whole rows."""
        return self.prefill(inputs, is_local, contexts)[0], None

    def prefill(
        self, inputs: Float[Array, 'batch length embed'], is_local: Bool[Array, ''], contexts: Contexts
    ) -> tuple[Float[Array, 'batch length embed'], KeysValues]:
        """The layer's output for whole rows, and their keys and values."""
        context = chosen_context(contexts, is_local)
        x = partitioning.with_sharding_constraint(inputs, RESIDUAL_AXES)
        normalized = self.pre_self_attention_layer_norm(x)
        attended, memory = self.self_attention(normalized, context.turned, context.masks)
        x = self._feed_forward(x, attended)
        return partitioning.with_sharding_constraint(x, RESIDUAL_AXES), memory

    def extend(
        self,
        inputs: Float[Array, 'batch beam new embed'],
        states: tuple[Bool[Array, ''], KeysValues, KeysValues],
        contexts: Contexts,
        position: int | Int[Array, ''],
    ) -> tuple[Float[Array, 'batch beam new embed'], KeysValues]:
        """The layer's output for the newest tokens of each beam, and its cache with them.

        Args:
          inputs: of the layer.
          states: whether the layer is local, its cache of the beams and its keys and values of the prompt.
          contexts: of the newest tokens.
          position: of the first of them in the cache.
        """
        is_local, cache, prompt = states
        context = chosen_context(contexts, is_local)
        normalized = self.pre_self_attention_layer_norm(inputs)
        attended, cache = self.self_attention.extend(
            normalized, context.turned, position, cache, prompt, **context.masks
        )
        return self._feed_forward(inputs, attended), cache

    def _feed_forward(self, x: Float[Array, '*batch embed'], attended: Float[Array, '*batch embed']):
        if not self.config.post_norms:
            x = x + attended
            return x + self.mlp(self.post_self_attention_layer_norm(x))
        x = x + self.post_self_attention_layer_norm(attended)
        return x + self.post_mlp_layer_norm(self.mlp(self.pre_mlp_layer_norm(x)))


class Decoder(nn.Module):
    """The layers, the last norm and the output head."""

    config: DecoderConfig
    token_embedder: TokenEmbedder

    def setup(self):
        """Declares them."""
        config = self.config
        if config.scan_layers:
            self.layers = DecoderLayer(config)
        else:
            self.layers = [DecoderLayer(config) for _ in range(config.num_layers)]
        self.decoder_norm = block_norm(config)
        if not config.logits_via_embedding:
            self.logits_dense = Projection(config.vocab_size, ('embed', 'vocab'), jnp.float32)

    def __call__(
        self, embedded: Float[Array, 'batch length embed'], contexts: Contexts
    ) -> Float[Array, 'batch length embed']:
        """The last layer's output, normalized: what `logits` takes."""
        return self.decoder_norm(self._run('__call__', embedded, self._local_layers(), contexts)[0])

    def prefill(
        self, embedded: Float[Array, 'batch length embed'], contexts: Contexts
    ) -> tuple[Float[Array, 'batch length embed'], LayerStates]:
        """Likewise, and each layer's keys and values."""
        x, memories = self._run('prefill', embedded, self._local_layers(), contexts)
        return self.decoder_norm(x), memories

    def extend(
        self,
        embedded: Float[Array, 'batch beam new embed'],
        contexts: Contexts,
        position: int | Int[Array, ''],
        cache: LayerStates,
        prompt: LayerStates,
    ) -> tuple[Float[Array, 'batch beam new embed'], LayerStates]:
        """The normalized output for the newest tokens of each beam, and the cache with them."""
        local = self._local_layers()
        if not self.config.scan_layers:
            states = list(zip(local, cache, prompt, strict=True))
            x, cache = self._run('extend', embedded, states, contexts, position)
            return self.decoder_norm(x), cache
        layers_first = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, CACHE_LAYER_AXIS, 0), cache)
        x, cache = self._run('extend', embedded, (local, layers_first, prompt), contexts, position)
        return self.decoder_norm(x), jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, CACHE_LAYER_AXIS), cache)

    def logits(self, x: Float[Array, '*batch embed']) -> Float[Array, '*batch vocab']:
        """Float32 logits of the token that follows."""
        config = self.config
        head = self.token_embedder.attend if config.logits_via_embedding else self.logits_dense
        logits = head(x)
        return soft_capped(logits, config.final_logit_soft_cap)

    def _local_layers(self) -> LayerStates:
        config = self.config
        local = [config.is_local(layer) for layer in range(config.num_layers)]
        return jnp.asarray(local) if config.scan_layers else [jnp.asarray(layer) for layer in local]

    def _run(self, method: str, x: Any, states: LayerStates, *context: Any) -> tuple[Any, LayerStates]:
        """Feeds `x` through the stack by a method of its layers, each with its own of `states`."""
        config = self.config

        def call(layer, x, state, *context):
            return getattr(layer, method)(x, state, *context)

        if config.remat_policy != 'none':
            # Under a scan the loop itself keeps XLA from undoing the rematerialization.
            policy = REMAT_POLICIES[config.remat_policy]
            call = nn.remat(call, policy=policy, prevent_cse=not config.scan_layers)
        if not config.scan_layers:
            outputs = []
            for layer, state in zip(self.layers, states, strict=True):
                x, output = call(layer, x, state, *context)
                outputs.append(output)
            return x, outputs
        scanned = partitioning.scan_with_axes(
            call,
            variable_axes={'params': 0},
            split_rngs={'params': True, 'dropout': True},
            in_axes=(0, *(nn.broadcast for _ in context)),
            length=config.num_layers,
            axis_name='layers',
        )
        return scanned(self.layers, x, states, *context)
