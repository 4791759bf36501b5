"""Keeps compiled programs for the next start of the same run."""

import os
import pathlib
from collections.abc import Mapping

import jax


def enable(environment: Mapping[str, str]) -> None:
    """Keeps what is compiled for accelerators in `default_folder`.

    JAX's own variables go before: JAX_COMPILATION_CACHE_DIR names another folder, which should be one that
    all hosts of a pod share, such as `gs://…`, and JAX_ENABLE_COMPILATION_CACHE=false keeps nothing. The
    key of a program holds the versions of JAX and XLA, the devices and all compiler flags. A processor's
    programs are not kept unless asked for, because one compiled for another processor may not run here.

    Args:
      environment: of the process.
    """
    if jax.config.jax_compilation_cache_dir is None and jax.default_backend() != 'cpu':
        jax.config.update('jax_compilation_cache_dir', str(default_folder(environment)))


def default_folder(environment: Mapping[str, str]) -> pathlib.Path:
    """`llmrec_jax/xla` in the user's cache (XDG_CACHE_HOME, or ~/.cache)."""
    cache = environment.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    return pathlib.Path(cache) / 'llmrec_jax' / 'xla'
