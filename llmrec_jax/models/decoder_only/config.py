"""Hyperparameters of a decoder-only language model."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from llmrec_jax.models.decoder_only.rotary import LinearRope, Llama3Rope, RopeScaling
from llmrec_jax.models.t5.config import REMAT_POLICIES

__all__ = ['DecoderConfig', 'LinearRope', 'Llama3Rope']

ACTIVATIONS = ('silu', 'gelu_tanh')


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """Shape and numerics of a `DecoderOnlyTransformer`; field names are T5X's where T5X has the field.

    The defaults are LLaMA's. There is no dropout: the published networks have none, and adapters bring their
    own.

    Attributes:
      vocab_size: rows of the embedding.
      emb_dim: width of the residual stream.
      num_layers: depth.
      num_heads: query heads.
      num_kv_heads: key and value heads, each shared by `num_heads / num_kv_heads` query heads.
      head_dim: width of a head; even.
      mlp_dim: width of the gated feed-forward block.
      activation: of the gate: 'silu', or 'gelu_tanh' (Gemma).
      logits_via_embedding: whether the output head is the embedding transposed or its own kernel.
      rope_base: base of the rotary frequencies.
      rope_scaling: `Llama3Rope`, `LinearRope` or None; layers with a window of `local_rope_base` have none.
      context_length: tokens that the published network reads at most. Nothing is cut by it.
      norm_epsilon: added to the mean square.
      qkv_bias: whether queries, keys and values have biases (Qwen 2).
      query_key_norm: whether queries and keys are normalised head by head (Qwen 3, Gemma 3).
      query_scale: what scores are multiplied by; None for 1 / sqrt(head_dim).
      attention_logit_soft_cap: scores are bent to stay within this (Gemma 2); None for none.
      final_logit_soft_cap: likewise of the logits.
      norm_plus_one: whether norms scale by 1 + their parameter (Gemma).
      scaled_embeddings: whether token vectors are multiplied by sqrt(emb_dim) (Gemma).
      post_norms: whether the output of attention and feed-forward is normalised too (Gemma 2 and 3).
      sliding_window: how many positions a local layer sees, its own included; None for no local layers.
      sliding_window_pattern: every so-manieth layer is global, the others local.
      local_rope_base: base of the frequencies in local layers (Gemma 3); None for the same in all.
      dtype: of activations and multiplications; norms, rotation, softmax, logits and loss are float32.
      one_hot_embedding: see `T5Config`.
      remat_policy: see `T5Config`.
      scan_layers: see `T5Config`.

    Raises:
      ValueError: for a size that is not positive, heads that do not divide, or a name that does not exist.
    """

    vocab_size: int
    emb_dim: int = 2048
    num_layers: int = 16
    num_heads: int = 32
    num_kv_heads: int = 8
    head_dim: int = 64
    mlp_dim: int = 8192
    activation: str = 'silu'
    logits_via_embedding: bool = False
    rope_base: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    context_length: int = 4096
    norm_epsilon: float = 1e-5
    qkv_bias: bool = False
    query_key_norm: bool = False
    query_scale: float | None = None
    attention_logit_soft_cap: float | None = None
    final_logit_soft_cap: float | None = None
    norm_plus_one: bool = False
    scaled_embeddings: bool = False
    post_norms: bool = False
    sliding_window: int | None = None
    sliding_window_pattern: int = 2
    local_rope_base: float | None = None
    dtype: Any = 'float32'
    one_hot_embedding: bool = False
    remat_policy: str = 'none'
    scan_layers: bool = False

    def __post_init__(self):
        sizes = ('vocab_size', 'emb_dim', 'num_layers', 'num_heads', 'num_kv_heads', 'head_dim', 'mlp_dim')
        sizes += ('context_length', 'sliding_window_pattern')
        for name in sizes:
            if getattr(self, name) < 1:
                raise ValueError(f'DecoderConfig.{name} must be positive, not {getattr(self, name)}')
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f'DecoderConfig.num_heads={self.num_heads} must be a multiple of num_kv_heads='
                f'{self.num_kv_heads}'
            )
        if self.head_dim % 2:
            raise ValueError(f'DecoderConfig.head_dim must be even, not {self.head_dim}')
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f'DecoderConfig.activation must be one of {ACTIVATIONS}, not {self.activation!r}'
            )
        if self.remat_policy not in REMAT_POLICIES:
            raise ValueError(
                f'DecoderConfig.remat_policy must be one of {sorted(REMAT_POLICIES)}, '
                f'not {self.remat_policy!r}'
            )
        if self.sliding_window is not None and self.sliding_window < 1:
            raise ValueError(f'DecoderConfig.sliding_window must be positive, not {self.sliding_window}')
        object.__setattr__(self, 'dtype', jnp.dtype(self.dtype))

    def is_local(self, layer: int) -> bool:
        """Whether a layer, counted from 0, sees no more than `sliding_window` positions."""
        return self.sliding_window is not None and (layer + 1) % self.sliding_window_pattern != 0
