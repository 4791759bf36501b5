"""Every recipe says what it is, how it is run, on what, and what it reached; the table says the same."""

import re
import shlex

import pytest

from tests.docs import dry_run
from tests.docs.pages import ROOT, load_script
from tests.recipes import CONFIGS, recipes

recipe_table = load_script(ROOT / 'docs' / 'recipe_table.py')
OVERLAYS = sorted((CONFIGS / 'overlays').rglob('*.gin'))
WHOLE = """# What it is (Paper, 2020, section 3),
# in two lines.
#
#   python -m llmrec_jax.run --gin_file=a.gin \\
#       --gin.WORKDIR=runs/a
#
# Hardware: two cores,
# two minutes.
#
# Result: not run yet.
#
# And more.
from __gin__ import dynamic_registration
"""


def name(path):
    return str(path.relative_to(CONFIGS))


def test_the_table_has_every_recipe_that_the_conformance_test_tries():
    assert recipe_table.recipes() == recipes(CONFIGS)


def test_the_table_is_that_of_the_headers():
    (shown,) = recipe_table.TABLE.findall(recipe_table.PAGE.read_text())
    assert shown == recipe_table.table(), 'run python docs/recipe_table.py'


def test_a_header_has_four_parts():
    assert recipe_table.header(WHOLE) == recipe_table.Header(
        what='What it is (Paper, 2020, section 3), in two lines.',
        command='python -m llmrec_jax.run --gin_file=a.gin \\\n    --gin.WORKDIR=runs/a',
        hardware='two cores, two minutes.',
        result='not run yet.',
    )


@pytest.mark.parametrize('part', ['what', 'command', 'hardware', 'result'])
def test_a_part_that_is_missing_is_named(part):
    place = ['what', 'command', 'hardware', 'result'].index(part)
    comment = WHOLE.split('#\n')
    with pytest.raises(ValueError, match=f'lacks {part};'):
        recipe_table.header('#\n'.join(comment[:place] + comment[place + 1 :]))


@pytest.mark.parametrize('path', recipes(CONFIGS), ids=name)
def test_a_result_has_its_interval_and_where_it_is_reported(path):
    result = recipe_table.header(path.read_text()).result
    if re.search(r'\.\d', result):
        assert re.search(r'\[\.\d+, \.\d+\]', result)
        assert re.search(r'reported at [0-9a-f]{7} \(\d{4}-\d\d-\d\d\)', result)
    else:
        assert result.startswith(('not run yet', 'none kept'))


@pytest.mark.parametrize('path', [*recipes(CONFIGS), *OVERLAYS], ids=name)
def test_the_command_of_the_header_is_accepted(path, tmp_path, monkeypatch):
    network = tmp_path / 'imported' / 'flan_t5_base' / 'network.gin'
    network.parent.mkdir(parents=True)
    network.write_text("include 'gin_configs/models/flan_t5_base.gin'\n")
    monkeypatch.chdir(tmp_path)
    command = recipe_table.command(path.read_text())
    assert f'--gin_file=gin_configs/{name(path)}' in command.split()
    for line in command.replace('\\\n', ' ').splitlines():
        dry_run.check(shlex.split(line))
