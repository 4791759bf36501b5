"""`python -m llmrec_jax.corpus`: from a table or a recipe to a data card, and from there into any recipe."""

import json

import numpy as np
import pytest

from llmrec_jax import corpus
from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.simulated_shop.source import Behaviour, SimulatedShop
from llmrec_jax.corpora.tables.source import Tables
from llmrec_jax.runs import corpus_binding, gin_config
from tests.corpora.sequence_directory import write_directory

EVENTS, THINGS = 'events.csv', 'things.tsv'


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """A folder with a shop of 30 users and 40 items, as the working directory."""
    rng = np.random.default_rng(0)
    rows = [(user, item, time) for user in range(30) for time, item in enumerate(rng.permutation(40)[:6])]
    events = '\n'.join(f'user-{user},item-{item},{1_700_000_000 + time}' for user, item, time in rows)
    (tmp_path / EVENTS).write_text(f'kunde,ware,when\n{events}\n')
    (tmp_path / THINGS).write_text('item_id\ttitle\n' + ''.join(f'item-{i}\tThing {i}\n' for i in range(40)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(folder):
    return json.loads((folder / 'data_card.json').read_text())


NAMED = ['--gin.Tables.user_column=kunde', '--gin.Tables.item_column=ware', '--gin.Tables.time_column=when']


def test_the_card_goes_where_the_corpus_is_called(tables):
    part = f'--gin_file={corpus.TABLES}'
    corpus.main([part, f'--gin.INTERACTIONS={EVENTS}', *NAMED])
    assert told(tables / 'data_cards' / 'tables' / 'events')['sizes']['items'] == 40


@pytest.mark.parametrize(
    'bound',
    [
        ['--gin_file=gin_configs/sasrec/smoke.gin'],
        ['--gin_file=gin_configs/parts/corpora/simulated_shop.gin', '--gin.SHOP_SIZE=tiny'],
        ['--gin_file=shop.gin'],
    ],
    ids=['recipe', 'part', 'source alone'],
)
def test_every_gin_file_that_binds_a_corpus_is_enough(tables, bound):
    (tables / 'shop.gin').write_text(
        'from __gin__ import dynamic_registration\n'
        'from llmrec_jax.corpora.simulated_shop import source\n'
        "source.SimulatedShop.size = 'tiny'\n"
    )
    corpus.main([*bound, '--output=card'])
    assert told(tables / 'card')['fingerprint'] == SimulatedShop('tiny').build().fingerprint()


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ([f'--interactions={EVENTS}'], 'Tables.user_column'),
        (['--interactions=nowhere.csv'], 'nowhere.csv is missing'),
        ([f'--items={THINGS}'], '--interactions'),
        ([f'--interactions={EVENTS}', '--gin_file=gin_configs/sasrec/smoke.gin'], '--gin_file'),
        ([], '--gin_file'),
        (['--gin_file=gin_configs/models/tiger_tiny.gin'], 'CORPUS'),
        ([f'--gin_file={corpus.TABLES}'], 'INTERACTIONS'),
        ([f'--interactions={EVENTS}', '--gin.Tables.user_colum=kunde'], 'user_colum'),
    ],
)
def test_what_cannot_be_honoured_is_one_message(tables, capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        corpus.main([*arguments, '--output=card'])
    assert ended.value.code
    assert said in f'{capsys.readouterr().err}{ended.value}'
    assert not (tables / 'card').exists()


def overlaid(text, tmp_path, *before, bindings=()):
    path = tmp_path / 'corpus.gin'
    path.write_text(text)
    arguments = gin_config.GinArguments((*before, str(path)), bindings, ('.', str(gin_config.REPOSITORY)))
    gin_config.load(arguments, complete=bool(before), asked=(corpus_binding.MACRO,))
    return corpus_binding.bound_source()


@pytest.mark.parametrize('recipe', ['sasrec/smoke.gin', 'sasrec/amazon_beauty.gin', 'palr/smoke.gin'])
def test_gin_lines_give_back_the_very_source(tables, recipe):
    folder = str(write_directory(tables / 'beauty'))
    for source in (
        Tables(str(tables / EVENTS), description_fields=('colour', "it's"), min_rating=3.5, quote=''),
        SequenceFiles(folder, relabel_seed=None),
        SimulatedShop(seed=3, behaviour=Behaviour(noise=0.06, popularity=0.05)),
    ):
        text = corpus_binding.overlay(source)
        assert overlaid(text, tables, f'gin_configs/{recipe}', bindings=("WORKDIR = 'x'",)) == source


def test_paths_in_gin_lines_are_absolute(tables):
    assert overlaid(corpus_binding.overlay(Tables(EVENTS)), tables).interactions == str(tables / EVENTS)


def test_without_a_table_or_a_recipe_both_ways_are_named(capsys):
    with pytest.raises(SystemExit):
        corpus.main([])
    said = capsys.readouterr().err
    assert '--interactions=' in said and '--gin_file=' in said
