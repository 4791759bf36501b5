"""The house itself: names that stand once, files of a readable size, rooms that know no system."""

import ast
import collections
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
FILES = [path for package in ('llmrec_jax', 'tasks') for path in sorted((ROOT / package).rglob('*.py'))]


def test_no_two_classes_have_one_name():
    # Fingerprints tell classes by name, so that code may move from module to module.
    found = collections.defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
                found[node.name].append(str(path.relative_to(ROOT)))
    assert not {name: places for name, places in found.items() if len(places) > 1}


def test_files_are_of_a_readable_size():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert not {path: length for path, length in lengths.items() if length > 400}
    assert 60 <= sorted(lengths.values())[len(lengths) // 2] <= 150


def test_a_system_is_at_most_four_files():
    for room in (ROOT / 'llmrec_jax' / 'systems').iterdir():
        if room.is_dir() and room.name != '__pycache__':
            assert len([path for path in room.glob('*.py') if path.name != '__init__.py']) <= 4, room.name


def test_nothing_asks_which_system_it_is():
    asked = re.compile(r'isinstance\((recipe|workspace|system|run)\b')
    assert not [str(path) for path in FILES if asked.search(path.read_text())]


def test_recipes_are_packages_that_gin_finds():
    folders = {path.parent for path in (ROOT / 'gin_configs').rglob('*.gin')}
    assert not [str(folder) for folder in folders if not (folder / '__init__.py').is_file()]


def test_t5x_run_files_set_no_macro_of_a_recipe():
    # They are read after the recipe, so that their macros replace its own: wanted of WORKDIR alone.
    macro = re.compile(r'^([A-Z][A-Z_]*) *=', re.MULTILINE)
    run_files, recipes = set(), set()
    for path in (ROOT / 'gin_configs').rglob('*.gin'):
        (run_files if path.parent.name == 'runs' else recipes).update(macro.findall(path.read_text()))
    assert run_files & recipes == {'WORKDIR'}
    assert 'SPLIT' in recipes and 'EVALUATED_SPLIT' in run_files
