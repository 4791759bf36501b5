"""Whether JAX can use accelerators here: the libraries it needs and, where asked, the devices themselves."""

from __future__ import annotations

import os
import pathlib

from llmrec_jax.installation import declared, processes
from llmrec_jax.installation.finding import Finding, Verdict, missing

INSTALL_TPU = "python -m pip install --constraint constraints.txt --editable '.[tpu]'"
INSTALL_GPU = "python -m pip install --constraint constraints.txt --editable '.[gpu]'"
CUDA_PLUGINS = ('jax-cuda13-plugin', 'jax-cuda12-plugin')
LIST_DEVICES = 'import jax; found = jax.devices("{}"); print(len(found), "of kind", found[0].device_kind)'


def check_tpu(required: bool) -> list[Finding]:
    """libtpu and, where required, that JAX sees TPUs; imports JAX only then.

    A slice's hosts start together or not at all: ask on all of them at once.
    """
    findings = [_check_libtpu(required)]
    if required:
        chips = [*pathlib.Path('/dev').glob('accel*'), *pathlib.Path('/dev').glob('vfio/[0-9]*')]
        mend = 'run this on all workers of a slice at once, and end what else uses its TPUs'
        findings.append(_check_devices('tpu', mend if chips else 'this machine has no TPU: run this on one'))
    return findings


def check_gpu(required: bool) -> list[Finding]:
    """JAX's CUDA plugin and, where required, that JAX sees GPUs; imports JAX only then."""
    present = pathlib.Path('/proc/driver/nvidia/version').exists()
    findings = [_check_cuda_plugin(required, present)]
    if required:
        driver = 'the NVIDIA driver must be 580 or newer: nvidia-smi says which it is'
        findings.append(_check_devices('gpu', INSTALL_GPU if present else driver))
    return findings


def _check_libtpu(required: bool) -> Finding:
    named = os.environ.get('TPU_LIBRARY_PATH')
    if named:
        found = pathlib.Path(named).is_file()
        verdict = Verdict.GOOD if found else Verdict.FAULT
        mend = '' if found else 'unset TPU_LIBRARY_PATH, or set it to a libtpu.so that exists'
        return Finding('libtpu', f'{named}{"" if found else " (no such file)"}', 'a libtpu.so', verdict, mend)
    if None in (declared.version('jax'), declared.version('packaging')):
        return missing('libtpu', "that of jax's extra tpu", INSTALL_TPU, required)
    wanted = next(one for one in declared.requirements('jax', extra='tpu') if one.name == 'libtpu')
    installed = declared.version('libtpu')
    if installed is None:
        return missing('libtpu', str(wanted.specifier), INSTALL_TPU, required)
    good = wanted.specifier.contains(installed, prereleases=True)
    verdict = Verdict.GOOD if good else Verdict.FAULT if required else Verdict.NOTE
    return Finding('libtpu', installed, str(wanted.specifier), verdict, '' if good else INSTALL_TPU)


def _check_cuda_plugin(required: bool, present: bool) -> Finding:
    jaxlib = declared.version('jaxlib')
    wanted = f'=={jaxlib}, as jaxlib' if jaxlib else 'that of jaxlib'
    installed = {name: declared.version(name) for name in CUDA_PLUGINS if declared.version(name)}
    if not installed and present and not required:
        return Finding(CUDA_PLUGINS[0], 'none for the GPU here', wanted, Verdict.NOTE, INSTALL_GPU)
    if not installed:
        return missing(CUDA_PLUGINS[0], wanted, INSTALL_GPU, required)
    name, version = next(iter(installed.items()))
    good = version == jaxlib
    verdict = Verdict.GOOD if good else Verdict.FAULT if required else Verdict.NOTE
    return Finding(name, version, wanted, verdict, '' if good else INSTALL_GPU)


def _check_devices(kind: str, mend: str) -> Finding:
    part = f'{kind.upper()}s that JAX sees'
    # Otherwise JAX takes most of a GPU's memory for a look.
    answer = processes.run_python(LIST_DEVICES.format(kind), {'XLA_PYTHON_CLIENT_PREALLOCATE': 'false'})
    if answer.error is None:
        return Finding(part, answer.output, 'at least one', Verdict.GOOD)
    return Finding(part, answer.error, 'at least one', Verdict.FAULT, mend)
