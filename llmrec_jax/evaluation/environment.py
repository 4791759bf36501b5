"""What a result was made with: versions, machine, commit. No host names, users or paths."""

import collections
import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

import jax
import psutil

import llmrec_jax
from llmrec_jax.version import __version__

PACKAGES = (
    'jax',
    'jaxlib',
    'flax',
    'optax',
    'orbax-checkpoint',
    'numpy',
    'scipy',
    'scikit-learn',
    'gin-config',
    'tensorflow',
    'seqio',
    'tensorflow-datasets',
    'scann',
    'sacrebleu',
    'rouge-score',
)
_CPU_INFO = pathlib.Path('/proc/cpuinfo')


def environment(seed: int) -> dict[str, Any]:
    """The `environment` of `results.json`.

    Args:
      seed: the seed that the run was started with.
    """
    return {'versions': versions(), 'machine': machine(), 'seed': seed, 'commit': commit()}


def versions() -> dict[str, str]:
    """Installed versions of what the numbers depend on; packages that are not installed are left out."""
    found = {'python': platform.python_version(), 'llmrec_jax': __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, usable cores, memory in GiB, and accelerators by kind and number."""
    accelerators = collections.Counter(
        device.device_kind for device in jax.devices() if device.platform != 'cpu'
    )
    return {
        'system': f'{platform.system()} {platform.machine()}',
        'cpu': _cpu_model(),
        'cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
        'memory_gib': round(psutil.virtual_memory().total / 2**30, 1),
        'accelerators': [{'kind': kind, 'count': count} for kind, count in sorted(accelerators.items())],
    }


def commit() -> str | None:
    """The commit of this code, with '-dirty' where tracked files were changed.

    None where the package was installed without its repository, or there is no git.
    """
    package = pathlib.Path(llmrec_jax.__file__).parent
    try:
        # An installed copy may lie inside a repository of somebody else, whose commit says nothing.
        _git(package, 'ls-files', '--error-unmatch', '__init__.py')
        return _git(package, 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*')
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(directory: pathlib.Path, *arguments: str) -> str:
    return subprocess.run(
        ['git', '-C', str(directory), *arguments], capture_output=True, encoding='utf-8', check=True
    ).stdout.strip()


def _cpu_model() -> str:
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(encoding='utf-8', errors='replace').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()
