"""Compiler flags that hide communication behind computation on TPUs and GPUs: each with its reason.

XLA reads its flags once, when a backend starts, and ends the process at one it does not know; so every flag
here is one that the pinned versions accept, which the tests check.
"""

import dataclasses
import importlib.util
from collections.abc import Callable, MutableMapping

TPU_VARIABLE, GPU_VARIABLE = 'LIBTPU_INIT_ARGS', 'XLA_FLAGS'


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of the compiler.

    Attributes:
      name: without dashes.
      value: what it is set to.
      reason: what for.
    """

    name: str
    value: str
    reason: str


# Google's published training recipes (MaxText) set these for v5e, v5p and v6e alike.
TPU_FLAGS = (
    Flag(
        'xla_tpu_enable_data_parallel_all_reduce_opt',
        'true',
        "gradients' all-reduces are made while the backward pass goes on",
    ),
    Flag(
        'xla_tpu_data_parallel_opt_different_sized_ops',
        'true',
        'the same where the gradients of a layer differ in size, as kernels and scales do',
    ),
    Flag(
        'xla_tpu_enable_async_collective_fusion',
        'true',
        'a collective runs inside a fusion that computes something else',
    ),
    Flag(
        'xla_tpu_enable_async_collective_fusion_fuse_all_gather',
        'true',
        "FSDP's gathering of the next layer's parameters too",
    ),
    Flag(
        'xla_tpu_enable_async_collective_fusion_multiple_steps',
        'true',
        'such a fusion may span several operations, for a collective longer than one of them',
    ),
    Flag(
        'xla_tpu_overlap_compute_collective_tc',
        'true',
        'computing and communicating overlap on the same core',
    ),
    Flag('xla_enable_async_all_gather', 'true', 'gathers start early and are waited for where needed'),
)
# JAX's page of GPU performance tips gives these for runs of more than one GPU.
GPU_FLAGS = (
    Flag(
        'xla_gpu_enable_latency_hiding_scheduler',
        'true',
        'collectives are moved to where computing covers them',
    ),
    Flag(
        'xla_gpu_enable_pipelined_all_gather',
        'true',
        "FSDP's gathering of the next scanned layer's parameters runs under this layer's computing",
    ),
    Flag(
        'xla_gpu_enable_pipelined_reduce_scatter',
        'true',
        "likewise the sharing out of the last scanned layer's gradients",
    ),
    Flag('xla_gpu_enable_pipelined_all_reduce', 'true', 'likewise their sum, where parameters are whole'),
    Flag(
        'xla_gpu_enable_while_loop_double_buffering',
        'true',
        'a scan over layers has two buffers, so that pipelined collectives need no copies',
    ),
)


def apply(
    environment: MutableMapping[str, str],
    is_installed: Callable[[str], object] = importlib.util.find_spec,
) -> None:
    """Adds the flags of the accelerators that JAX is installed for. Call before JAX starts a backend.

    A flag that the environment sets already stays as the user set it.

    Args:
      environment: of the process, `os.environ`.
      is_installed: whether a package is.
    """
    if is_installed('libtpu'):
        _add(environment, TPU_VARIABLE, TPU_FLAGS)
    if is_installed('jax_cuda12_plugin') or is_installed('jax_cuda13_plugin'):
        _add(environment, GPU_VARIABLE, GPU_FLAGS)


def _add(environment: MutableMapping[str, str], variable: str, flags: tuple[Flag, ...]) -> None:
    given = environment.get(variable, '').split()
    named = {argument.lstrip('-').partition('=')[0] for argument in given}
    added = [f'--{flag.name}={flag.value}' for flag in flags if flag.name not in named]
    environment[variable] = ' '.join([*given, *added])
