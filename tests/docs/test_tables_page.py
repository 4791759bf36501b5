"""The page about one's own table, followed command by command, from tables to floors."""

import dataclasses
import json
import re
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llmrec_jax import corpus, run
from llmrec_jax.corpora.tables.source import Tables
from tests.docs.pages import ROOT, blocks, commands

PAGE = ROOT / 'docs' / 'tables.md'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory of a reader with tables like those of the page, of 30 users and 40 movies."""
    ratings, movies = (block.splitlines()[0] for block in blocks(PAGE, 'text'))
    rng = np.random.default_rng(0)
    seen = [(user, movie, time) for user in range(30) for time, movie in enumerate(rng.permutation(40)[:6])]
    rows = [f'{user},{movie},{1 + movie % 5}.0,{1_000_000_000 + time}' for user, movie, time in seen]
    (tmp_path / 'ratings.csv').write_text('\n'.join([ratings, *rows]))
    (tmp_path / 'movies.csv').write_text('\n'.join([movies, *(f'{i},"Movie, {i}",A|B' for i in range(40))]))
    days = {
        'buyer': rng.integers(0, 9, 400),
        'article': rng.integers(0, 9, 400),
        'day': rng.integers(1, 99, 400),
    }
    pq.write_table(pa.table(days), tmp_path / 'orders.parquet')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(start):
    """The arguments of the page's command that begins so."""
    (command,) = [command for command in commands(PAGE) if command.startswith(f'python -m {start}')]
    return shlex.split(command)[3:]


def test_the_tables_of_the_page_are_read(folder):
    for name, block in zip(('ratings.csv', 'movies.csv'), blocks(PAGE, 'text')):
        (folder / name).write_text(block)
    items = Tables('ratings.csv', 'movies.csv', relabel_seed=None).build().items
    assert items.title == ['GoldenEye (1995)', 'American President, The (1995)']
    assert items.categories == [('Action', 'Adventure'), ('Comedy', 'Drama')]


def test_from_tables_to_floors(folder):
    """gin_configs/sasrec/smoke.gin takes the corpus of cards/ratings/corpus.gin in the place of its shop."""
    corpus.main(words('llmrec_jax.corpus --interactions=ratings.csv'))
    card = json.loads((folder / 'cards' / 'ratings' / 'data_card.json').read_text())
    assert card['sizes']['users'] == 30
    run.main(words('llmrec_jax.run'))
    results = json.loads((folder / 'runs' / 'ratings' / 'results.json').read_text())
    assert results['corpus']['fingerprint'] == card['fingerprint']
    assert 'popularity' in json.dumps(results['test'])


def test_columns_are_named(folder):
    corpus.main(words('llmrec_jax.corpus --interactions=orders.parquet'))
    card = json.loads((folder / 'data_cards' / 'tables' / 'orders' / 'data_card.json').read_text())
    assert card['provenance']['columns']['interactions']['user'] == "'buyer'"
    assert card['provenance']['k_core'] == 5


def test_the_page_names_fields_that_there_are():

    fields = {field.name for field in dataclasses.fields(Tables)}
    named = re.findall(r'`(\w+_(?:column|fields|format|rating|rows))[=`]', PAGE.read_text())
    assert set(named) <= fields
    assert len(set(named)) >= 9
