"""Decoder-only language models that read items' vectors beside their titles: RSLLM and LLaRA."""

from llmrec_jax.models.injected_decoder.contrast import CalrecContrast, ItemAndUserContrast
from llmrec_jax.models.injected_decoder.model import InjectedDecoderModel
from llmrec_jax.models.injected_decoder.network import InjectedDecoder

__all__ = ['CalrecContrast', 'InjectedDecoder', 'InjectedDecoderModel', 'ItemAndUserContrast']
