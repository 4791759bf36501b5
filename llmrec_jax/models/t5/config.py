"""Hyperparameters of the T5 encoder-decoder."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from llmrec_jax import marks
from llmrec_jax.models.lora import Lora
from llmrec_jax.models.projection import PRODUCT

# What the backward pass may keep of a layer: all of it, its weight multiplications, or its input alone.
REMAT_POLICIES = {
    'none': None,
    'minimal': jax.checkpoint_policies.save_only_these_names(PRODUCT),
    'full': jax.checkpoint_policies.nothing_saveable,
}
# How attention is computed: by matrix products and a softmax, or by the backend's own kernel.
PLAIN, FUSED = ATTENTIONS = ('plain', 'fused')
ACTIVATIONS = ('relu', 'gelu', 'silu', 'linear')


@dataclasses.dataclass(frozen=True)
class T5Config:
    """Shape, regularisation and numerics of a `Transformer`; field names are T5X's where T5X has the field.

    Attributes:
      vocab_size: rows of the shared embedding, special tokens and rounding included.
      emb_dim: width of the residual stream.
      num_heads: attention heads; `num_heads * head_dim` need not equal `emb_dim`.
      head_dim: width of a head.
      mlp_dim: width of the feed-forward block.
      num_encoder_layers: encoder depth.
      num_decoder_layers: decoder depth.
      mlp_activations: ('relu',) for T5 1.0; ('gelu', 'linear') for the gated block of T5 1.1 and Flan-T5.
      whole_word_embeddings: rows of the table of word numbers that the encoder adds to its token embeddings
        (P5, 512 rows); 0 for T5, which has none.
      dropout_rate: in [0, 1); every mask is shared along the length, as in T5X.
      logits_via_embedding: whether the output head is the embedding transposed (T5 1.0) or its own kernel.
      dtype: of activations and multiplications; parameters, logits, softmax and loss are float32 throughout.
      float32_attention_logits: whether scores and softmax of the attention are float32 whatever `dtype` is.
      attention: 'plain', or 'fused' for the backend's own kernel (cuDNN's on an NVIDIA GPU, Pallas's on a
        TPU) wherever queries and keys number 128 or more; shorter ones, and decoding, are plain.
      one_hot_embedding: whether tokens are looked up by a one-hot multiplication (what T5X does; on a TPU its
        gradient is faster than a scatter) rather than by a gather.
      remat_policy: 'none', 'minimal' (keep the weight multiplications) or 'full' (keep a layer's input only).
      scan_layers: whether layers are one scanned body with parameters stacked along a leading 'layers' axis,
        which keeps compilation time constant in the depth. `layer_stack` converts between the two trees.
      lora: which projections have low-rank adapters; None for none.

    Raises:
      ValueError: for a size that is not positive or a name that does not exist.
    """

    vocab_size: int
    emb_dim: int = 512
    num_heads: int = 8
    head_dim: int = 64
    mlp_dim: int = 2048
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    mlp_activations: Sequence[str] = ('relu',)
    whole_word_embeddings: int = 0
    dropout_rate: float = 0.1
    logits_via_embedding: bool = False
    dtype: Any = 'float32'
    float32_attention_logits: bool = True
    attention: str = PLAIN
    one_hot_embedding: bool = False
    remat_policy: str = 'none'
    scan_layers: bool = False
    lora: Lora | None = marks.silent_default(None)

    def __post_init__(self):
        sizes = (
            'vocab_size',
            'emb_dim',
            'num_heads',
            'head_dim',
            'mlp_dim',
            'num_encoder_layers',
            'num_decoder_layers',
        )
        for name in sizes:
            if getattr(self, name) < 1:
                raise ValueError(f'T5Config.{name} must be positive, not {getattr(self, name)}')
        if self.whole_word_embeddings < 0 or self.whole_word_embeddings == 1:
            raise ValueError(
                'T5Config.whole_word_embeddings must be 0, or 2 or more (row 0 is for tokens of no word), '
                f'not {self.whole_word_embeddings}'
            )
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(f'T5Config.dropout_rate must be in [0, 1), not {self.dropout_rate}')
        if self.remat_policy not in REMAT_POLICIES:
            raise ValueError(
                f'T5Config.remat_policy must be one of {sorted(REMAT_POLICIES)}, not {self.remat_policy!r}'
            )
        if self.attention not in ATTENTIONS:
            raise ValueError(f'T5Config.attention must be one of {ATTENTIONS}, not {self.attention!r}')
        # A tuple is hashable, which flax asks of a module's fields; gin hands over lists.
        object.__setattr__(self, 'mlp_activations', tuple(self.mlp_activations))
        unknown = [name for name in self.mlp_activations if name not in ACTIVATIONS]
        if unknown or not self.mlp_activations:
            raise ValueError(
                f'T5Config.mlp_activations must be some of {ACTIVATIONS}, not {self.mlp_activations}'
            )
        object.__setattr__(self, 'dtype', jnp.dtype(self.dtype))
