"""T5 weights in Hugging Face's layout, read into our parameter tree, which is T5X's, and written from it.

Needs neither torch nor transformers.
"""

from llmrec_jax.models.hf_weights.config_file import read_config
from llmrec_jax.models.hf_weights.reading import load_hf, params_from_hf, read_tensors
from llmrec_jax.models.hf_weights.writing import write_hf

__all__ = ['load_hf', 'params_from_hf', 'read_config', 'read_tensors', 'write_hf']
