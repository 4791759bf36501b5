"""Grouped-query attention: within a text, and of continuations to a prompt that they share.

Queries stand as [..., groups, heads of a group, head_dim] against keys of [..., groups, head_dim]: no key is
repeated (Ainslie et al., https://arxiv.org/abs/2305.13245).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.decoder_only.layers import Projection, RMSNorm
from llmrec_jax.models.decoder_only.rotary import Rotation, rotated

# Far below any score, yet finite: a row without a single key to attend to stays a number.
MASKED = -1e30

KeysValues = dict[str, Any]


def soft_capped(values: Float[Array, '*shape'], cap: float | None) -> Float[Array, '*shape']:
    """`cap * tanh(values / cap)`, or the values where there is no cap."""
    return values if cap is None else cap * jnp.tanh(values / cap)


class Attention(nn.Module):
    """Projections and attention of one layer."""

    config: DecoderConfig

    def setup(self):
        """Declares the projections and norms."""
        config = self.config

        def heads(number: int) -> Projection:
            return Projection(number * config.head_dim, ('embed', 'joined_kv'), config.dtype, config.qkv_bias)

        self.query = heads(config.num_heads)
        self.key = heads(config.num_kv_heads)
        self.value = heads(config.num_kv_heads)
        self.out = Projection(config.emb_dim, ('joined_kv', 'embed'), config.dtype)
        if config.query_key_norm:
            norm = (config.norm_epsilon, config.norm_plus_one, config.dtype, 'kv')
            self.query_norm = RMSNorm(*norm)
            self.key_norm = RMSNorm(*norm)

    def __call__(
        self,
        inputs: Float[Array, 'batch length embed'],
        turned: Rotation,
        mask: Bool[Array, '#batch length length'],
    ) -> tuple[Float[Array, 'batch length embed'], KeysValues]:
        """Attention within each row, and the keys and values of its positions.

        Args:
          inputs: of the layer, normalized.
          turned: by the position of each token.
          mask: which keys a query sees.

        Returns:
          The output; and 'key' and 'value', [batch, length, groups, head_dim] each.
        """
        queries = self._queries(inputs, turned)
        memory = self._keys_values(inputs, turned)
        scores = self._scores('bqghd,bkgd->bghqk', queries, memory['key'])
        weights = _softmax(scores, jnp.expand_dims(mask, (1, 2))).astype(self.config.dtype)
        return self._output(jnp.einsum('bghqk,bkgd->bqghd', weights, memory['value'])), memory

    def extend(
        self,
        inputs: Float[Array, 'batch beam new embed'],
        turned: Rotation,
        position: int | Int[Array, ''],
        cache: KeysValues,
        prompt: KeysValues,
        own_mask: Bool[Array, 'new steps'],
        prompt_mask: Bool[Array, 'batch new prompt'],
    ) -> tuple[Float[Array, 'batch beam new embed'], KeysValues]:
        """Attention of each beam's newest tokens to its own past and to the row's prompt.

        Args:
          inputs: of the layer, normalized.
          turned: by the position of each token, the same in all beams of a row.
          position: index of the first of the newest tokens in the cache, the same in all beams.
          cache: 'key' and 'value', [batch, beam, steps, groups, head_dim] each; filled below `position`.
          prompt: 'key' and 'value', [batch, prompt, groups, head_dim] each: one copy for all beams.
          own_mask: which positions of the cache a token sees.
          prompt_mask: which positions of the prompt it sees.

        Returns:
          The output, and the cache with the newest positions filled.
        """
        batch, beam, new, _ = inputs.shape
        # Beams lie one behind the other along the length while heads are projected and turned.
        along = inputs.reshape(batch, beam * new, -1)
        turned = jax.tree.map(lambda leaf: jnp.tile(leaf, (1, beam, 1)), turned)
        queries = self._queries(along, turned).reshape(batch, beam, new, *self._group_shape())
        newest = jax.tree.map(
            lambda leaf: leaf.reshape(batch, beam, new, *leaf.shape[2:]), self._keys_values(along, turned)
        )
        cache = {
            name: jax.lax.dynamic_update_slice_in_dim(
                cache[name], newest[name].astype(cache[name].dtype), position, axis=2
            )
            for name in ('key', 'value')
        }
        scores = jnp.concatenate(
            [
                self._scores('bmnghd,bkgd->bmnghk', queries, prompt['key']),
                self._scores('bmnghd,bmsgd->bmnghs', queries, cache['key']),
            ],
            axis=-1,
        )
        own = jnp.broadcast_to(own_mask, (batch, *own_mask.shape))
        mask = jnp.expand_dims(jnp.concatenate([prompt_mask, own], axis=-1), (1, 3, 4))
        weights = _softmax(scores, mask).astype(self.config.dtype)
        to_prompt, to_own = jnp.split(weights, [prompt_mask.shape[-1]], axis=-1)
        mixed = jnp.einsum('bmnghk,bkgd->bmnghd', to_prompt, prompt['value'])
        mixed = mixed + jnp.einsum('bmnghs,bmsgd->bmnghd', to_own, cache['value'])
        return self._output(mixed), cache

    def _group_shape(self) -> tuple[int, int, int]:
        config = self.config
        return config.num_kv_heads, config.num_heads // config.num_kv_heads, config.head_dim

    def _queries(self, inputs: Float[Array, 'batch length embed'], turned: Rotation):
        config = self.config
        joined = self.query(inputs)
        split = joined.reshape(*joined.shape[:-1], config.num_heads, config.head_dim)
        heads = partitioning.with_sharding_constraint(split, ('batch', 'length', 'heads', 'kv'))
        if config.query_key_norm:
            heads = self.query_norm(heads)
        scale = config.head_dim**-0.5 if config.query_scale is None else config.query_scale
        heads = (rotated(heads, turned) * scale).astype(config.dtype)
        return heads.reshape(*heads.shape[:-2], *self._group_shape())

    def _keys_values(self, inputs: Float[Array, 'batch length embed'], turned: Rotation) -> KeysValues:
        config = self.config
        keys, values = (
            projection(inputs).reshape(*inputs.shape[:-1], config.num_kv_heads, config.head_dim)
            for projection in (self.key, self.value)
        )
        if config.query_key_norm:
            keys = self.key_norm(keys)
        return {'key': rotated(keys, turned).astype(config.dtype), 'value': values}

    def _scores(self, equation: str, queries, keys):
        scores = jnp.einsum(equation, queries, keys, preferred_element_type=jnp.float32)
        return soft_capped(scores, self.config.attention_logit_soft_cap)

    def _output(self, mixed: Float[Array, '*batch groups heads head_dim']) -> Float[Array, '*batch embed']:
        return self.out(mixed.reshape(*mixed.shape[:-3], -1))


def _softmax(scores: Float[Array, '*batch key'], mask: Bool[Array, '...']) -> Float[Array, '*batch key']:
    masked = jnp.where(jnp.broadcast_to(mask, scores.shape), scores, jnp.asarray(MASKED, scores.dtype))
    return jax.nn.softmax(masked, axis=-1)
