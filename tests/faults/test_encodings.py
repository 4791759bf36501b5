"""Files are UTF-8 whatever the machine's own encoding is."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

from llmrec_jax import files

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ('llmrec_jax', 'tasks', 'gin_configs', 'benchmarks', 'docs')
    for path in sorted((ROOT / folder).rglob('*.py'))
] + [ROOT / 'setup.py']
# What has an `open` of its own, for bytes or for no file at all.
OTHER_OPEN = ('FileSystems', 'ts', 'ColumnStore', 'KvStore', 'sender', 'archive', 'cls', 'os')
# Of a machine without UTF-8, which Python would otherwise take for one that has it.
PLAIN = {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}


def by_the_machine(call: ast.Call) -> bool:
    """Whether a call reads or writes text in whatever encoding the machine has."""
    named = {keyword.arg for keyword in call.keywords}
    if any(keyword.arg == 'text' and ast.unparse(keyword.value) == 'True' for keyword in call.keywords):
        return 'encoding' not in named
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, 'id', '')
    if name == 'read_text':
        # One argument is a path: `files.read_text`.
        return not call.args and not named & {'encoding'}
    if name in ('write_text', 'TextIOWrapper'):
        return len(call.args) < 2 and 'encoding' not in named
    if name in ('open', 'fdopen', 'NamedTemporaryFile'):
        receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
        if getattr(receiver, 'id', getattr(receiver, 'attr', '')) in OTHER_OPEN:
            return False
        modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        return not any('b' in mode for mode in modes if isinstance(mode, str)) and 'encoding' not in named
    return False


@pytest.mark.parametrize(
    ('code', 'expected'),
    [
        ("open('a')", True),
        ("open('a', 'rb')", False),
        ("path.open('a')", True),
        ("path.open('w', encoding='utf-8')", False),
        ('path.read_text()', True),
        ('files.read_text(path)', False),
        ("path.write_text('a')", True),
        ("subprocess.run(['a'], text=True)", True),
        ("subprocess.run(['a'], encoding='utf-8')", False),
    ],
)
def test_the_search_tells_them_apart(code, expected):
    assert by_the_machine(ast.parse(code).body[0].value) is expected


def test_no_text_is_read_or_written_in_the_machines_encoding():
    found = [
        f'{path.relative_to(ROOT)}:{node.lineno}'
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.Call) and by_the_machine(node)
    ]
    # The package's metadata is no file.
    assert [place for place in found if not place.startswith('llmrec_jax/installation/t5x.py')] == []


def test_gin_files_are_read_as_utf_8_by_a_machine_that_has_another_encoding(tmp_path):
    (tmp_path / 'recipe.gin').write_text(
        'from __gin__ import dynamic_registration\n'
        'from tests.runs import sample_recipe\n'
        "include 'symbols.gin'\n"
        'sample_recipe.Whole.part = None\n'
        'sample_recipe.Whole.workdir = %SYMBOLS\n',
        encoding='utf-8',
    )
    (tmp_path / 'symbols.gin').write_bytes("\ufeffSYMBOLS = '▁user_0_ é'\n".encode())
    code = (
        'import argparse, locale\n'
        'from llmrec_jax import files\n'
        'from llmrec_jax.runs import gin_config\n'
        'from tests.runs import sample_recipe\n'
        "assert locale.getpreferredencoding() != 'UTF-8'\n"
        'parser = argparse.ArgumentParser()\n'
        'gin_config.add_arguments(parser)\n'
        f"flags = ['--gin_file=recipe.gin', '--gin_search_paths={tmp_path}']\n"
        '_, arguments = gin_config.parse_arguments(parser, flags)\n'
        'whole = gin_config.instantiate(sample_recipe.Whole, gin_config.load(arguments))\n'
        f"files.write_text('{tmp_path}/config.gin', gin_config.operative_config())\n"
        'print(ascii(whole.workdir))\n'
    )
    environment = {**os.environ, **PLAIN, 'PYTHONPATH': str(ROOT)}
    run = subprocess.run(
        [sys.executable, '-c', code], env=environment, cwd=ROOT, capture_output=True, encoding='utf-8'
    )
    assert (run.stdout.strip(), run.returncode) == (ascii('▁user_0_ é'), 0), run.stderr
    assert '▁user_0_ é' in (tmp_path / 'config.gin').read_text(encoding='utf-8')


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ('a\né'.encode('latin-1'), r'a.txt, line 2: bytes that are not UTF-8'),
        ('a'.encode('utf-16'), r'a.txt, line 1: UTF-16; save it as UTF-8'),
    ],
)
def test_a_file_in_another_encoding_is_named_with_its_line(tmp_path, content, said):
    (tmp_path / 'a.txt').write_bytes(content)
    with pytest.raises(ValueError, match=said):
        files.read_text(tmp_path / 'a.txt')


def test_what_a_launcher_prints_fits_every_terminal():
    shown = [*(ROOT / 'llmrec_jax').glob('*.py'), *(ROOT / 'llmrec_jax' / 'installation').glob('*.py')]
    assert not [path.name for path in shown if not path.read_text(encoding='utf-8').isascii()]
