"""What the pages are built with: the API reference, docstrings, the figure."""

import re

from tests.docs.pages import ROOT, load_script

api_stubs = load_script(ROOT / 'docs' / 'api_stubs.py')
docstrings = load_script(ROOT / 'docs' / 'docstrings.py')


def test_a_page_for_each_room_that_exists(tmp_path):
    for file in (
        'corpora/__init__.py',
        'corpora/shop/__init__.py',
        'corpora/shop/law.py',
        'semantic_ids/a.py',
    ):
        path = tmp_path / 'llmrec_jax' / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folder = tmp_path / 'api'
    folder.mkdir()
    (folder / 'llmrec_jax.gone.md').touch()
    api_stubs.write(tmp_path, folder)
    # `semantic_ids` is no package here.
    assert sorted(path.name for path in folder.iterdir()) == ['index.md', 'llmrec_jax.corpora.md']
    page = (folder / 'llmrec_jax.corpora.md').read_text()
    assert re.findall(r'automodule:: (\S+)', page) == [
        'llmrec_jax.corpora',
        'llmrec_jax.corpora.shop',
        'llmrec_jax.corpora.shop.law',
    ]


def test_rooms_are_packages_or_not_made_yet():
    to_come = {f'llmrec_jax.{room}' for room in ('runs', 'stages', 'inference', 'systems')}
    assert set(api_stubs.ROOMS) - set(api_stubs.rooms_of(ROOT)) <= to_come


def test_tables_and_code_of_docstrings():
    lines = ['One.', '', '    code()', '', '| a | b |', '|---|---|', '| 1 | 2 |', '', 'Args:', '  x: y']
    assert docstrings.literal_blocks(docstrings.list_tables(lines)) == [
        *('One.', '', '::', '', '    code()', ''),
        *(
            '.. list-table::',
            '   :header-rows: 1',
            '',
            '   * - a',
            '     - b',
            '   * - 1',
            '     - 2',
            '',
            '',
        ),
        *('Args:', '  x: y'),
    ]


def test_the_figure_shows_the_table_of_the_quickstart():
    figure = load_script(ROOT / 'docs' / 'figures' / 'quickstart.py')
    drawn = figure.FIGURE.read_text()
    recalls = figure.recalls(figure.PAGE.read_text())
    assert set(recalls) >= {'TIGER', 'popularity', 'ceiling'}
    for name, text in recalls.items():
        assert name in drawn
        assert f'>{text.split()[0]}<' in drawn or f' {text}<' in drawn
