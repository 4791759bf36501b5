"""The page about a corpus of one's own, followed to its first results."""

import json
import re
import shlex
import sys

import numpy as np
import pytest

from llmrec_jax import run
from tests.docs.pages import ROOT, blocks, commands

PAGE = ROOT / 'docs' / 'own_corpus.md'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory of someone who followed the page, with a shop of 30 users."""
    (header, *_) = blocks(PAGE, 'text')[0].splitlines()
    rng = np.random.default_rng(0)
    bought = [(user, item, time) for user in range(30) for time, item in enumerate(rng.permutation(40)[:6])]
    lines = [f'user-{user},item-{item},Thing {item},{1_700_000_000 + time}' for user, item, time in bought]
    (tmp_path / 'purchases.csv').write_text('\n'.join([header, *lines]))
    (tmp_path / 'my_corpus.py').write_text(blocks(PAGE, 'python')[0])
    (tmp_path / 'my_shop.gin').write_text(blocks(PAGE, 'gin')[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop('my_corpus', None)


def test_the_corpus_is_that_of_the_page(folder):
    (folder / 'purchases.csv').write_text(blocks(PAGE, 'text')[0])
    import my_corpus

    corpus = my_corpus.Purchases('purchases.csv').build()
    by_user = dict(zip(corpus.users.user_id, np.split(corpus.events.item, corpus.user_offsets[1:-1])))
    assert {user: [corpus.items.item_id[item] for item in items] for user, items in by_user.items()} == {
        'ann': ['lamp-3', 'pen-1'],
        'bob': ['pen-1'],
    }


def test_the_command_ranks_the_floors(folder):
    (command,) = commands(PAGE)
    run.main(shlex.split(command)[3:])
    results = json.loads((folder / 'runs' / 'my_shop' / 'results.json').read_text())
    assert re.search('popularity', json.dumps(results['test']))


def test_the_page_shows_every_column():
    from llmrec_jax.corpora.corpus import Events, Items, Users

    table = {
        name
        for row in re.findall(r'^\|.*\|$', PAGE.read_text(), re.MULTILINE)
        for name in re.findall(r'`(\w+)`', row)
    }
    assert {name for kind in (Items, Users, Events) for name in kind.__dataclass_fields__} <= table
