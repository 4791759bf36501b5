"""Which kinds of device JAX looks for."""

import importlib.util
import pathlib
from collections.abc import Callable, Mapping

import jax


def leave_out_absent_tpu(
    environment: Mapping[str, str],
    devices: pathlib.Path = pathlib.Path('/dev'),
    is_installed: Callable[[str], object] = importlib.util.find_spec,
) -> bool:
    """Has JAX look for no TPU where its library is installed and the machine has none.

    Call it before JAX starts a backend.

    The library, which planning needs, otherwise prints errors about the workers of a slice at every start.
    A user's own `JAX_PLATFORMS` stays as it is, and so does a machine for whose GPU JAX is installed.

    Args:
      environment: of the process.
      devices: the folder of the machine's device files.
      is_installed: whether a package is.

    Returns:
      Whether JAX will use the processor alone.
    """
    chips = [*devices.glob('accel*'), *devices.glob('vfio/[0-9]*')]
    on_gpu = is_installed('jax_cuda12_plugin') or is_installed('jax_cuda13_plugin')
    if 'JAX_PLATFORMS' in environment or chips or on_gpu or not is_installed('libtpu'):
        return False
    jax.config.update('jax_platforms', 'cpu')
    return True
