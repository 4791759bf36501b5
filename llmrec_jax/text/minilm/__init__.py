"""MiniLM and other small BERT sentence encoders, in Flax."""

from llmrec_jax.text.minilm.encoder import MiniLM

__all__ = ['MiniLM']
