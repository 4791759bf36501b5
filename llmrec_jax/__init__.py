"""Large language models that recommend, in JAX and Flax.

Importing the package imports neither TensorFlow nor any of its rooms.
"""

from llmrec_jax.version import __version__

__all__ = ['__version__']
