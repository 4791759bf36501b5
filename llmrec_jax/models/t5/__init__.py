"""T5 in Flax linen, with T5X's parameter tree."""

from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer

__all__ = ['T5Config', 'Transformer']
