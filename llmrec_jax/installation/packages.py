"""Whether Python and the packages that every run needs are there, fit one another, and are those tested."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pathlib
import platform
import re
import sys

from llmrec_jax.files import read_text
from llmrec_jax.installation import declared
from llmrec_jax.installation.finding import Finding, Verdict, missing

LIBRARY = 'llmrec_jax'
OLDEST_PYTHON = (3, 11)
INSTALL = "python -m pip install --constraint constraints.txt --editable '.'"
# Those whose import takes seconds longer when Python has to compile them each time.
SLOW_TO_COMPILE = ('jax', 'tensorflow', 'seqio')


def check_python() -> Finding:
    """Whether this Python is new enough."""
    wanted = '{}.{} or newer'.format(*OLDEST_PYTHON)
    good = sys.version_info >= OLDEST_PYTHON
    mend = '' if good else 'uv venv --python 3.11, or any other Python of 3.11 or newer, and install there'
    return Finding('Python', platform.python_version(), wanted, Verdict.GOOD if good else Verdict.FAULT, mend)


def check_packages() -> list[Finding]:
    """Every package that the library declares: there, within the declared range, of the tested version."""
    if declared.version('packaging') is None:
        return [missing('packaging', 'any', INSTALL, required=True)]
    if declared.version(LIBRARY) is None:
        return [missing(LIBRARY, 'this checkout', INSTALL, required=True)]
    return [check_requirement(one, required=True, install=INSTALL) for one in declared.requirements(LIBRARY)]


def check_requirement(requirement, required: bool, install: str) -> Finding:
    """One declared package.

    Args:
      requirement: a `packaging.requirements.Requirement`.
      required: whether it is a fault when it is not there.
      install: the command that installs it.
    """
    installed = declared.version(requirement.name)
    tested = declared.tested_versions().get(declared.canonical(requirement.name))
    wanted = f'{requirement.specifier or "any"}' + (f', tested {tested}' if tested else '')
    if installed is None:
        return missing(requirement.name, wanted, install, required)
    if not requirement.specifier.contains(installed, prereleases=True):
        return Finding(requirement.name, installed, wanted, Verdict.FAULT, install)
    if tested and installed != tested:
        return Finding(requirement.name, installed, wanted, Verdict.NOTE)
    return Finding(requirement.name, installed, wanted, Verdict.GOOD)


def check_scann() -> list[Finding]:
    """Whether TensorFlow is the one that ScaNN's kernels were linked against; any other fails at import."""
    tensorflow = declared.version('tensorflow')
    if None in (tensorflow, declared.version('scann'), declared.version('packaging')):
        return []
    return [
        Finding(
            "TensorFlow for ScaNN's kernels",
            tensorflow,
            str(one.specifier),
            Verdict.GOOD if one.specifier.contains(tensorflow) else Verdict.FAULT,
            ''
            if one.specifier.contains(tensorflow)
            else f"python -m pip install 'tensorflow{one.specifier}'",
        )
        for one in declared.requirements('scann', extra='tf')
        if one.name == 'tensorflow'
    ]


def check_protobuf() -> list[Finding]:
    """Whether protobuf is new enough for SentencePiece's generated code; importing seqio fails otherwise."""
    spec = importlib.util.find_spec('sentencepiece')
    installed = declared.version('protobuf')
    if spec is None or installed is None or declared.version('packaging') is None:
        return []
    from packaging.version import Version

    generated = pathlib.Path(spec.submodule_search_locations[0], 'sentencepiece_model_pb2.py')
    # The head of the file says it; older generators did not, and their code runs under every protobuf.
    stated = re.search(r'Protobuf Python Version: (\S+)', read_text(generated) if generated.is_file() else '')
    if stated is None:
        return []
    good = Version(installed) >= Version(stated[1])
    mend = (
        f"python -m pip install 'protobuf>={stated[1]}'; what holds it back (apache-beam does) goes into an "
        'environment of its own'
    )
    return [
        Finding(
            "protobuf for SentencePiece's code",
            installed,
            f'>={stated[1]}',
            Verdict.GOOD if good else Verdict.FAULT,
            '' if good else mend,
        )
    ]


def check_tfds() -> list[Finding]:
    """Whether two distributions overwrite the package `tensorflow_datasets`."""
    if None in (declared.version('tfds-nightly'), declared.version('tensorflow-datasets')):
        return []
    mend = f'python -m pip uninstall --yes tfds-nightly tensorflow-datasets && {INSTALL}'
    found = 'tfds-nightly beside tensorflow-datasets'
    return [Finding('tensorflow_datasets', found, 'one of them', Verdict.FAULT, mend)]


def check_bytecode() -> list[Finding]:
    """Whether the packages that are large were compiled when they were installed."""
    specs = [importlib.util.find_spec(name) for name in SLOW_TO_COMPILE]
    files = [spec.origin for spec in specs if spec is not None and spec.origin]
    bare = [file for file in files if not pathlib.Path(importlib.util.cache_from_source(file)).is_file()]
    if not files:
        return []
    if not bare:
        return [Finding('bytecode', 'compiled', 'compiled', Verdict.GOOD)]
    names = ', '.join(pathlib.Path(file).parent.name for file in bare)
    folders = ' '.join(sorted({str(pathlib.Path(file).parents[1]) for file in bare}))
    mend = f'python -m compileall -q {folders}   # each start is seconds faster'
    return [Finding('bytecode', f'none of {names}', 'compiled', Verdict.NOTE, mend)]
