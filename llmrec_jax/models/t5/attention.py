"""Multi-head attention, over whole sequences and over the beams of a user."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.models.layers import Dense
from llmrec_jax.models.t5.config import FUSED, T5Config
from llmrec_jax.models.t5.fused_attention import fused_attention, is_worth_fusing
from llmrec_jax.models.t5.masks import Visibility

# Far below any score, yet finite: a row without a single key to attend to stays a number.
MASKED = -1e10
KERNEL_INIT = nn.initializers.variance_scaling(1.0, 'fan_in', 'normal')
HEAD_AXES = ('batch', 'length', 'heads', 'kv')

KeysValues = dict[str, Any]


def attention_weights(
    scores: Float[Array, '*batch key'], mask: Bool[Array, '*mask'] | None
) -> Float[Array, '*batch key']:
    """Softmax of `scores` over the keys that `mask` (broadcastable to `scores`) lets through."""
    if mask is not None:
        scores = jnp.where(jnp.broadcast_to(mask, scores.shape), scores, jnp.asarray(MASKED, scores.dtype))
    return jax.nn.softmax(scores, axis=-1)


class Attention(nn.Module):
    """Projections and attention of one block.

    Scores are not divided by sqrt(head_dim): the query's initializer is, as in T5.
    """

    config: T5Config

    def setup(self):
        """Declares the projections."""
        config = self.config
        joined = config.num_heads * config.head_dim

        def query_init(key, shape, dtype):
            return KERNEL_INIT(key, shape, dtype) / jnp.sqrt(config.head_dim).astype(config.dtype)

        axes = ('embed', 'joined_kv')
        self.query = Dense(joined, axes, config.dtype, kernel_init=query_init, lora=config.lora)
        self.key = Dense(joined, axes, config.dtype, lora=config.lora)
        self.value = Dense(joined, axes, config.dtype, lora=config.lora)
        self.out = Dense(config.emb_dim, ('joined_kv', 'embed'), config.dtype, lora=config.lora)
        self.dropout = nn.Dropout(config.dropout_rate, broadcast_dims=(-1,))

    def __call__(
        self,
        inputs: Float[Array, 'batch query embed'],
        attended: Float[Array, 'batch key embed'],
        visibility: Visibility,
        bias: Float[Array, 'heads query key'] | None,
        enable_dropout: bool,
    ) -> Float[Array, 'batch query embed']:
        """Attention of `inputs` to `attended`."""
        memory = self.keys_values(attended)
        # One mask for all queries of a key (T5X's choice) may as well fall on the value as on its weights,
        # and the values are the smaller array.
        values = self.dropout(memory['value'], deterministic=not enable_dropout)
        queries = self.heads(self.query(inputs))
        fused = self.config.attention == FUSED and is_worth_fusing(inputs.shape[1], attended.shape[1])
        # Parameters may be initialised, or their shapes asked for, where the kernel is not.
        if fused and not self.is_initializing():
            mixed = fused_attention(queries, memory['key'], values, visibility, bias)
            return self._project(partitioning.with_sharding_constraint(mixed, HEAD_AXES))
        return self._attend(queries, memory['key'], values, visibility.mask(), bias)

    def heads(
        self, joined: Float[Array, 'batch length joined']
    ) -> Float[Array, 'batch length heads head_dim']:
        """Splits the joined axis into heads."""
        split = joined.reshape(*joined.shape[:-1], self.config.num_heads, self.config.head_dim)
        return partitioning.with_sharding_constraint(split, HEAD_AXES)

    def keys_values(self, attended: Float[Array, 'batch key embed']) -> KeysValues:
        """The 'key' and 'value' of each position, [batch, key, heads, head_dim] each."""
        return {'key': self.heads(self.key(attended)), 'value': self.heads(self.value(attended))}

    def attend_shared(
        self,
        inputs: Float[Array, 'batch beam embed'],
        memory: KeysValues,
        encoder_mask: Bool[Array, 'batch key'],
    ) -> Float[Array, 'batch beam embed']:
        """Attention of every beam of a user to the one copy of that user's keys and values.

        Beams stand where query positions stand in `__call__`: nothing is tiled `beam` times.
        """
        queries = self.heads(self.query(inputs))
        return self._attend(queries, memory['key'], memory['value'], encoder_mask[:, None, None, :], None)

    def attend_cached(
        self,
        inputs: Float[Array, 'batch beam embed'],
        position: int | Int[Array, ''],
        cache: KeysValues,
        bias: Float[Array, 'heads steps'],
    ) -> tuple[Float[Array, 'batch beam embed'], KeysValues]:
        """Self-attention of each beam's newest token to its own past.

        Args:
          inputs: the newest token's vectors.
          position: index of the newest token, the same in all beams.
          cache: 'key' and 'value', [batch, beam, steps, heads, head_dim] each; filled below `position`.
          bias: relative position bias of the query at `position`.

        Returns:
          The attention's output, and the cache with `position` filled.
        """
        cache = {
            name: jax.lax.dynamic_update_index_in_dim(
                cache[name], self.heads(projection(inputs)).astype(cache[name].dtype), position, axis=2
            )
            for name, projection in (('key', self.key), ('value', self.value))
        }
        queries = self.heads(self.query(inputs))
        scores = self._scores('bnhd,bnshd->bnhs', queries, cache['key'])
        scores = scores + jnp.expand_dims(bias, (0, 1)).astype(scores.dtype)
        written = jnp.arange(bias.shape[-1]) <= position
        weights = attention_weights(scores, jnp.expand_dims(written, (0, 1, 2)))
        mixed = jnp.einsum('bnhs,bnshd->bnhd', weights.astype(self.config.dtype), cache['value'])
        return self._project(mixed), cache

    def _attend(self, queries, keys, values, mask, bias):
        scores = self._scores('bqhd,bkhd->bhqk', queries, keys)
        if bias is not None:
            scores = scores + jnp.expand_dims(bias, 0).astype(scores.dtype)
        weights = attention_weights(scores, mask).astype(self.config.dtype)
        return self._project(jnp.einsum('bhqk,bkhd->bqhd', weights, values))

    def _scores(self, equation: str, queries, keys):
        dtype = jnp.float32 if self.config.float32_attention_logits else self.config.dtype
        return jnp.einsum(equation, queries, keys, preferred_element_type=dtype)

    def _project(self, mixed: Float[Array, 'batch query heads head_dim']):
        return self.out(mixed.reshape(*mixed.shape[:-2], -1))
