import json

import numpy as np
import pytest

from llmrec_jax.corpora.sequence_files import SequenceFiles
from tests.corpora.sequence_directory import ITEMS, SEQUENCES, write_directory
from tests.shared_data import shared_data


def test_the_published_order_is_kept_when_no_seed_is_given(tmp_path):
    corpus = SequenceFiles(str(write_directory(tmp_path / 'shop')), relabel_seed=None).build()
    assert corpus.name == 'sequence_files/shop'
    assert corpus.users.user_id == ['7', '3', '12', '9']
    assert corpus.events.user.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert corpus.events.item.tolist() == [0, 1, 2, 3, 3, 2, 1, 4, 0, 2]
    assert corpus.events.timestamp.tolist() == [0, 1, 2, 3, 0, 1, 2, 0, 1, 0]
    assert corpus.items.item_id == ['B01', 'B02', 'B03', 'B04', 'B05']
    assert corpus.items.title[1] == 'Crème brûlée "bath" 香水 🛁'
    assert corpus.items.title[4] == corpus.items.brand[1] == ''
    assert corpus.items.categories == [('Beauty', 'Nails'), ('Beauty',), (), ('Beauty', 'Hair'), ()]
    assert corpus.items.description[3] == 'A comb.\nFor hair.'
    np.testing.assert_array_equal(
        corpus.items.price, np.asarray([np.nan, np.nan, 1.1, 25, np.nan], np.float32)
    )
    assert corpus.provenance['relabel_seed'] is None
    assert set(corpus.provenance['files']) == {'sequential.txt', 'items.jsonl'}


def test_rows_are_random_by_default_and_say_the_same(tmp_path):
    directory = str(write_directory(tmp_path / 'shop'))
    published, relabelled = (
        SequenceFiles(directory, relabel_seed=None).build(),
        SequenceFiles(directory).build(),
    )
    assert relabelled.provenance['relabel_seed'] == 0
    assert relabelled.fingerprint() != published.fingerprint()
    assert sorted(relabelled.items.title) == sorted(published.items.title)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('4 1 2 99', r"sequential.txt, line 5: item '99' is not in items.jsonl"),
        ('4 1 x', r"sequential.txt, line 5: item 'x' is not in items.jsonl"),
        ('4', r"sequential.txt, line 5: user '4' has an empty history; expected 'user item item"),
        ('', r'sequential.txt, line 5: an empty line'),
        ('7 1', r"sequential.txt, line 5: user '7' has a history on line 1; expected one line a user"),
        ('4 1 2 1', r"sequential.txt, line 5: user '4' has item '1' twice; .*duplicates='keep_first'"),
    ],
)
def test_bad_histories_are_named(tmp_path, line, message):
    directory = write_directory(tmp_path / 'shop', [*SEQUENCES, line])
    with pytest.raises(ValueError, match=message):
        SequenceFiles(str(directory)).build()


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('{"id": 6', r'items.jsonl, line 6: not JSON'),
        ('[]', r'items.jsonl, line 6: a list, not an object'),
        ('{"id": "6"}', r"items.jsonl, line 6: field 'id' is '6'; expected an object with id"),
        ('{"asin": "B"}', r"items.jsonl, line 6: field 'id' is None"),
        ('{"id": 1}', r'items.jsonl, line 6: id 1 has been used before'),
        ('{"id": 6, "title": 3}', r"items.jsonl, line 6: field 'title' is 3"),
        ('{"id": 6, "price": "$3"}', r"items.jsonl, line 6: field 'price' is '\$3'; expected a number"),
        ('{"id": 6, "categories": ["a"]}', r"items.jsonl, line 6: field 'categories' is \['a'\]"),
    ],
)
def test_bad_items_are_named(tmp_path, line, message):
    directory = write_directory(tmp_path / 'shop')
    with open(directory / 'items.jsonl', 'a') as file:
        file.write(line + '\n')
    with pytest.raises(ValueError, match=message):
        SequenceFiles(str(directory)).build()


@pytest.mark.parametrize(('duplicates', 'history'), [('keep_first', [0, 1]), ('keep', [0, 1, 0])])
def test_repeated_items_are_kept_or_dropped_as_asked_and_counted(tmp_path, duplicates, history):
    directory = str(write_directory(tmp_path / 'shop', ['4 1 2 1']))
    corpus = SequenceFiles(directory, relabel_seed=None, duplicates=duplicates).build()
    assert corpus.events.item.tolist() == history
    assert corpus.provenance['repeated_events'] == 1


def test_missing_and_empty_files_are_named(tmp_path):
    directory = write_directory(tmp_path / 'shop')
    (directory / 'sequential.txt').write_text('')
    with pytest.raises(ValueError, match=r'sequential.txt is empty'):
        SequenceFiles(str(directory)).build()
    (directory / 'items.jsonl').unlink()
    with pytest.raises(
        FileNotFoundError, match=r'items.jsonl is missing; expected one line an item, .*directory'
    ):
        SequenceFiles(str(directory)).build()


def test_an_unknown_rule_for_duplicates_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"SequenceFiles.duplicates is 'drop'; expected one of 'error', 'keep_first'"
    ):
        SequenceFiles(str(tmp_path), duplicates='drop')


def test_half_a_surrogate_pair_is_replaced(tmp_path):
    items = [{**ITEMS[0], 'title': 'half \ud83d'}, *ITEMS[1:]]
    directory = write_directory(tmp_path / 'shop', items=items)
    assert '\\ud83d' in json.dumps(items[0])
    assert SequenceFiles(str(directory), relabel_seed=None).build().items.title[0] == 'half ?'


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'users', 'items', 'events'),
    [('amazon-beauty', 22_363, 12_101, 198_502), ('amazon-games', 32_496, 17_332, 289_532)],
)
def test_real_directories_have_their_published_counts(name, users, items, events):
    corpus = SequenceFiles(str(shared_data(name))).build()
    assert (len(corpus.users), len(corpus.items), len(corpus.events)) == (users, items, events)
    assert all(corpus.items.title)
