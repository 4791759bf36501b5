"""Decoder-only language models in Flax linen: LLaMA, Qwen, Gemma, SmolLM2; with T5X's and MaxText's names."""

from llmrec_jax.models.decoder_only.config import DecoderConfig, LinearRope, Llama3Rope
from llmrec_jax.models.decoder_only.transformer import DecoderOnlyTransformer

__all__ = ['DecoderConfig', 'DecoderOnlyTransformer', 'LinearRope', 'Llama3Rope']
