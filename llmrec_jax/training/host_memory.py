"""The memory that a processor's programs work in, kept by the process from one step to the next.

XLA asks the C library for a program's whole working memory when the program starts, and gives it back when
it ends. glibc maps a block of that size anew each time, so that in every step the system finds and clears
every page of it: a third of a small model's step.
"""

import ctypes
from collections.abc import Mapping

import jax

# What glibc's <malloc.h> calls the two settings.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Blocks above it are mapped on their own, and given back as soon as they are free.
LARGEST_KEPT = 2**30
# What may lie free at the heap's end before it is given back; the largest that the C function takes.
KEPT_FREE = 2**31 - 1
VARIABLES = ('MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'GLIBC_TUNABLES')


def keep(environment: Mapping[str, str]) -> None:
    """Has blocks of up to `LARGEST_KEPT` bytes come from memory that the process keeps. Call it before JAX
    starts a backend.

    Programs on a processor are then run by the thread that starts them: glibc keeps no large blocks for
    other threads. Nothing changes where the C library is not glibc, nor where the environment sets what
    malloc does: a user's own settings stay as they are.

    Args:
      environment: of the process.
    """
    adjust = getattr(ctypes.CDLL(None), 'mallopt', None)
    if adjust is None or any(variable in environment for variable in VARIABLES):
        return
    adjust(M_MMAP_THRESHOLD, LARGEST_KEPT)
    adjust(M_TRIM_THRESHOLD, KEPT_FREE)
    jax.config.update('jax_cpu_enable_async_dispatch', False)
