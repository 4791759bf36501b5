"""What a message tells its reader to set exists: fields, flags and macros that texts of the library name."""

import ast
import collections
import importlib
import inspect
import pathlib
import re
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[2]
# Styles of a page are no flags, and fields of BibTeX no settings.
PATHS = [
    path
    for package in ('llmrec_jax', 'tasks')
    for path in sorted((ROOT / package).rglob('*.py'))
    if path.name not in ('markup.py', 'citations.py')
]
TREES = {path: ast.parse(path.read_text(encoding='utf-8')) for path in PATHS}
FIELD = re.compile(r'\b([A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*)\.([a-z_]\w*)')
FLAG = re.compile(r'(?<![\w-])--(?!gin[._]?[A-Z{])([a-z][\w-]*)')
MACRO = re.compile(r'(?:--gin\.|\b)([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])\b')
SETTING = re.compile(r'(?<![\w.-])([a-z]\w*)=(?![=\s])')
# Flags of pip, of jq, of TFDS and of Python's own tools, which some messages give as commands.
OTHER_FLAGS = {
    'beam_pipeline_options',
    'compact-output',
    'constraint',
    'editable',
    'no-deps',
    'requirement',
    'python',
    'yes',
    'upgrade',
    'gin',
}
# Modules of Hugging Face's T5, in the names of its parameters.
OTHER_CLASSES = {'EncDecAttention', 'SelfAttention'}
# Variables of the environment, and constants of Python and T5X.
OTHER_CAPITALS = {
    *('OPENAI_API_KEY', 'SLURM_STEP_NODELIST', 'TPU_LIBRARY_PATH', 'FEATURE_CONVERTER_CLS', 'SIG_IGN'),
    *('JAX_PLATFORMS', 'XLA_FLAGS', 'LLMREC_JAX_TRACEBACK'),
}
# What stands before '=' and is no setting: of compiled programs, of others' files, of Python.
OTHER_SETTINGS = {
    *('device_ids', 'replica_groups', 'file', 'inputs', 'max_seq_length', 'pad_id', 'bos_id'),
    'tensorstore_spec',
}


def texts(tree: ast.Module) -> Iterator[str]:
    """All texts of a module that are no docstring, with '{}' for what is put into them."""
    skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            skipped.add(id(node.body[0].value))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else '{}' for part in node.values)
            yield ''.join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


def said(pattern: re.Pattern, sentences: bool = True) -> dict[str | tuple[str, ...], set[str]]:
    """What the pattern finds in texts, and where; `sentences` leaves out texts of one word."""
    found = collections.defaultdict(set)
    for path, tree in TREES.items():
        for text in texts(tree):
            if ' ' in text or not sentences:
                for match in pattern.findall(text):
                    found[match].add(str(path.relative_to(ROOT)))
    return found


def classes() -> dict[str, tuple[set[str], list[str]]]:
    """Class to the names in its body, and its bases."""
    found = {}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                names = {one.target.id for one in node.body if isinstance(one, ast.AnnAssign)}
                for one in node.body:
                    if isinstance(one, ast.FunctionDef):
                        names.add(one.name)
                        if one.name == '__init__':
                            names |= {argument.arg for argument in (*one.args.args, *one.args.kwonlyargs)}
                found[node.name] = (names, [base.id for base in node.bases if isinstance(base, ast.Name)])
    return found


def members(name: str, known: dict[str, tuple[set[str], list[str]]]) -> set[str]:
    own, bases = known.get(name, (set(), []))
    return own.union(*(members(base, known) for base in bases))


def test_fields_that_messages_name_exist():
    known = classes()
    missing = {
        f'{name}.{field}': places
        for (name, field), places in said(FIELD, sentences=False).items()
        if name not in OTHER_CLASSES and field not in members(name, known)
    }
    assert not missing


def test_flags_that_messages_name_exist():
    declared = {
        argument.value.removeprefix('--')
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for argument in node.args[:1]
        if isinstance(argument, ast.Constant) and str(argument.value).startswith('--')
    }
    assert {'gin_file', 'takeover', 'errors'} <= declared
    missing = {name: places for name, places in said(FLAG).items() if name not in declared | OTHER_FLAGS}
    assert not missing


def test_macros_that_messages_name_exist():
    recipes = '\n'.join(path.read_text(encoding='utf-8') for path in (ROOT / 'gin_configs').rglob('*.gin'))
    macros = set(re.findall(r'^([A-Z][A-Z0-9_]*) *=', recipes, re.MULTILINE))
    missing = {name: places for name, places in said(MACRO).items() if name not in macros | OTHER_CAPITALS}
    assert not missing


def test_settings_that_messages_name_exist():
    parameters = {
        argument.arg
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for argument in (*node.args.args, *node.args.kwonlyargs)
    }
    fields = {name for names, _ in classes().values() for name in names}
    known = parameters | fields | OTHER_SETTINGS
    missing = {name: places for name, places in said(SETTING).items() if name not in known}
    assert not missing


@pytest.mark.slow
def test_fields_that_messages_name_can_be_bound():
    modules = {
        node.name: '.'.join(path.relative_to(ROOT).with_suffix('').parts)
        for path, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    unbound = []
    for name, field in said(FIELD, sentences=False):
        if name in OTHER_CLASSES:
            continue
        configurable = getattr(importlib.import_module(modules[name]), name)
        if not callable(getattr(configurable, field, None)):
            parameters = inspect.signature(configurable).parameters
            unbound += [f'{name}.{field}'] * (field not in parameters)
    assert not unbound
