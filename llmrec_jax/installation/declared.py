"""What this library declares that it needs, and at which versions it was tested."""

from __future__ import annotations

import importlib.metadata
import pathlib
import re
from typing import Any

from llmrec_jax.files import read_text

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CONSTRAINTS = REPOSITORY / 'constraints.txt'
T5X_REQUIREMENTS = REPOSITORY / 't5x_requirements.txt'


def canonical(name: str) -> str:
    """A package's name as PyPI compares names."""
    return re.sub(r'[-_.]+', '-', name).lower()


def version(name: str) -> str | None:
    """The installed version; None where the package is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def requirements(package: str, extra: str = '') -> list[Any]:
    """What an installed package requires here, as `packaging.requirements.Requirement`.

    Args:
      package: an installed package.
      extra: where given, what this extra adds, and nothing else.

    Raises:
      importlib.metadata.PackageNotFoundError: when the package is not installed.
    """
    from packaging.requirements import Requirement

    declared = [Requirement(text) for text in importlib.metadata.requires(package) or ()]

    def holds(requirement: Requirement, name: str) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({'extra': name})

    return [one for one in declared if holds(one, extra) and not (extra and holds(one, ''))]


def tested_versions() -> dict[str, str]:
    """Canonical name -> version that the tests ran with; empty outside a checkout of the library."""
    if not CONSTRAINTS.is_file():
        return {}
    pins = re.findall(r'^([\w.-]+)==(\S+)', read_text(CONSTRAINTS), re.MULTILINE)
    return {canonical(name): pinned for name, pinned in pins}


def t5x_commits() -> dict[str, str]:
    """Package -> commit, of T5X and what it imports; empty outside a checkout of the library."""
    if not T5X_REQUIREMENTS.is_file():
        return {}
    return dict(re.findall(r'^(\w+) @ git\+\S+@([0-9a-f]{40})$', read_text(T5X_REQUIREMENTS), re.MULTILINE))
