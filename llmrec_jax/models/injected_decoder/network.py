"""A decoder that reads projected vectors of items where its tokens are placeholders (RSLLM, LLaRA)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.decoder_only.transformer import DecoderOnlyTransformer
from llmrec_jax.models.layers import Dense
from llmrec_jax.models.transfer.frozen_tables import declare_table, rows_of

# Beside the decoder's own parameters, which keep their names: what a pretrained decoder does not have.
TABLE, PROJECTOR, TEMPERATURES = 'recommender_items', 'projector', 'log_temperatures'


class Projector(nn.Module):
    """`W_2 gelu(W_1 v)`, with biases: from a recommender's vectors to the decoder's width, as in LLaRA.

    Attributes:
      features: the decoder's width.
      dtype: of the multiplications.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, vectors: Float[Array, '*batch dim']) -> Float[Array, '*batch embed']:
        """Vectors as the first layer reads tokens."""
        hidden = Dense(self.features, ('kv', 'mlp'), self.dtype, use_bias=True, name='wi')(vectors)
        return Dense(self.features, ('mlp', 'embed'), self.dtype, use_bias=True, name='wo')(
            jax.nn.gelu(hidden, approximate=False)
        )


class InjectedDecoder(DecoderOnlyTransformer):
    """A `DecoderOnlyTransformer` that reads the n-th placeholder of a row as the vector of its n-th item.

    The vectors of a trained recommender are a table that is never trained: its rows come with the checkpoint
    that training starts from, no gradient reaches them, and `training.optimizers.PartlyFrozen` keeps them.

    Attributes:
      n_items: size of the catalogue; 0 until `for_catalogue`.
      item_dim: width of the recommender's vectors; likewise.
      placeholder: the token that vectors stand in for; likewise -1.
      temperatures: what the learned temperatures of contrastive losses begin at, one a loss.
    """

    n_items: int = 0
    item_dim: int = 0
    placeholder: int = -1
    temperatures: tuple[float, ...] = ()

    def setup(self):
        """Declares what the decoder has, the table and the projector."""
        super().setup()
        self.recommender_items = declare_table(TABLE, self.n_items, self.item_dim)
        self.projector = Projector(self.config.emb_dim, self.config.dtype)
        if self.temperatures:
            self.log_temperatures = partitioning.param_with_axes(
                TEMPERATURES,
                lambda key: jnp.log(jnp.asarray(self.temperatures, jnp.float32)),
                axes=('kv',),
            )

    def __call__(
        self,
        decoder_input_tokens: Int[Array, 'batch length'],
        items: Int[Array, 'batch places'],
        **features: Any,
    ) -> Float[Array, 'batch length vocab']:
        """Float32 logits of the token that follows each of `decoder_input_tokens`.

        Args:
          decoder_input_tokens: what is read.
          items: of each row's placeholders, in their order, row of the catalogue + 1; padded with 0.
          **features: see `DecoderOnlyTransformer.encode`.
        """
        return self.logits(self.read_with_items(decoder_input_tokens, items, **features))

    def read_with_items(
        self,
        decoder_input_tokens: Int[Array, 'batch length'],
        items: Int[Array, 'batch places'],
        **features: Any,
    ) -> Float[Array, 'batch length embed']:
        """`encode` of `embed_with_items`."""
        return self.encode(self.embed_with_items(decoder_input_tokens, items), **features)

    def embed_with_items(
        self, tokens: Int[Array, 'batch length'], items: Int[Array, 'batch places']
    ) -> Float[Array, 'batch length embed']:
        """What the first layer is given: vectors of tokens, and projected ones of items at placeholders.

        A placeholder beyond the row's items keeps its own vector, as one that is generated does.
        """
        is_placeholder = tokens == self.placeholder
        number = jnp.cumsum(is_placeholder, axis=1) - 1
        projected = self.projected(items)
        given = jnp.take_along_axis(projected, jnp.maximum(number, 0)[:, :, None], axis=1, mode='clip')
        has_item = is_placeholder & (number < jnp.sum(items != 0, axis=1, keepdims=True))
        return jnp.where(has_item[:, :, None], given, self.embed(tokens))

    def projected(self, items: Int[Array, '*batch']) -> Float[Array, '*batch embed']:
        """The projected vectors of items, rows of the catalogue + 1."""
        return self.projector(rows_of(self.recommender_items, items))

    def learned_temperatures(self) -> Float[Array, 'losses']:
        """The temperatures of the contrastive losses."""
        return jnp.exp(self.log_temperatures)
