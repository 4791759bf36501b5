"""Weights in Hugging Face's layout, read into our parameter trees, which are T5X's, and written from them.

T5, and the decoders LLaMA, Qwen 2 and 3, Gemma 2 and 3. Needs neither torch nor transformers.
"""

from llmrec_jax.models.hf_weights.reading import load_hf, params_from_hf, read_tensors
from llmrec_jax.models.hf_weights.reading_config import read_config
from llmrec_jax.models.hf_weights.writing import write_hf

__all__ = ['load_hf', 'params_from_hf', 'read_config', 'read_tensors', 'write_hf']
