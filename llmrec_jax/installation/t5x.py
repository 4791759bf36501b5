"""Whether T5X and what it imports can be imported, and are of the commits that were tested."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import pathlib
import subprocess

from llmrec_jax.installation import declared, processes
from llmrec_jax.installation.finding import Finding, Verdict, missing
from llmrec_jax.installation.packages import LIBRARY, check_requirement

EXTRA = "python -m pip install --constraint constraints.txt --editable '.[t5x]'"
SOURCES = 'python -m pip install --no-deps --requirement t5x_requirements.txt'
MODULES = ('t5x.train', 't5x.eval', 't5x.infer')
SHOWN = 10


def check(required: bool) -> list[Finding]:
    """T5X, AirIO, JEstimator and what they need from PyPI; where required, also that T5X imports."""
    findings = []
    if None not in (declared.version('packaging'), declared.version(LIBRARY)):
        extra = declared.requirements(LIBRARY, extra='t5x')
        findings = [check_requirement(one, required, EXTRA) for one in extra]
    sources = [_check_source(name, commit, required) for name, commit in declared.t5x_commits().items()]
    findings += sources
    if required and all(one.verdict is not Verdict.FAULT for one in findings):
        findings.append(_check_import())
    return findings


def _check_source(name: str, commit: str, required: bool) -> Finding:
    wanted = f'commit {commit[:SHOWN]}'
    spec = importlib.util.find_spec(name)
    if spec is None:
        return missing(name, wanted, SOURCES, required)
    found = installed_commit(name, pathlib.Path(next(iter(spec.submodule_search_locations))))
    if found is None:
        return Finding(name, 'of unknown commit', wanted, Verdict.NOTE, SOURCES)
    if found != commit:
        return Finding(name, f'commit {found[:SHOWN]}', wanted, Verdict.NOTE, SOURCES)
    return Finding(name, wanted, wanted, Verdict.GOOD)


def installed_commit(name: str, folder: pathlib.Path) -> str | None:
    """The commit that pip installed a package from, or that of the checkout it lies in; None where unknown.

    Args:
      name: the package.
      folder: where Python finds it.
    """
    try:
        recorded = importlib.metadata.distribution(name).read_text('direct_url.json')
    except importlib.metadata.PackageNotFoundError:
        recorded = None
    if recorded is not None:
        return json.loads(recorded).get('vcs_info', {}).get('commit_id')
    if not (folder.parent / '.git').exists():
        return None
    answer = subprocess.run(
        ['git', '-C', str(folder.parent), 'rev-parse', 'HEAD'],
        capture_output=True,
        encoding='utf-8',
        check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else None


def _check_import() -> Finding:
    # A machine without an accelerator is good enough for an import.
    answer = processes.run_python(f'import {", ".join(MODULES)}', {'JAX_PLATFORMS': 'cpu'})
    names = ', '.join(MODULES)
    if answer.error is None:
        return Finding(f'import {names}', 'works', 'works', Verdict.GOOD)
    return Finding(f'import {names}', answer.error, 'works', Verdict.FAULT, f'{EXTRA} && {SOURCES}')
