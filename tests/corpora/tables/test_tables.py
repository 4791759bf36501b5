"""Columns that are named or guessed, and what tables of items and users say."""

import json
import logging

import numpy as np
import pytest

from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.source import identity
from llmrec_jax.corpora.tables.roles import in_words, roles
from llmrec_jax.corpora.tables.source import Tables
from tests.corpora.sequence_directory import write_directory

EVENTS = 'uid,sku,ts,stars\na,1,10,5\na,2,20,3\nb,1,30,\nb,3,40,1\n'


def written(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    return str(tmp_path / name)


@pytest.fixture
def events(tmp_path):
    return written(tmp_path, 'events.csv', EVENTS)


ROLES = ('user', 'item', 'time', 'rating', 'summary', 'review')
KNOWN = {
    'movielens': 'userId->user movieId->item rating->rating timestamp->time',
    'amazon 2014': 'reviewerID->user asin->item overall->rating unixReviewTime->time reviewText->review '
    'reviewTime summary->summary reviewerName',
    'amazon 2023': 'rating->rating title text->review asin parent_asin->item user_id->user timestamp->time',
    'yelp': 'review_id user_id->user business_id->item stars->rating date->time text->review',
    'goodreads': 'user_id->user book_id->item review_id rating->rating review_text->review date_added->time',
    'h&m': 't_dat->time customer_id->user article_id->item price',
    'retailrocket': 'timestamp->time visitorid->user event itemid->item transactionid',
    'steam': 'username->user product_id->item date->time text->review',
}


@pytest.mark.parametrize('data', KNOWN)
def test_the_columns_of_known_data_sets_are_guessed(data):
    names = [word.partition('->') for word in KNOWN[data].split()]
    found = roles([name for name, _, _ in names], dict.fromkeys(ROLES))
    expected = {role: name for name, _, role in names if role}
    assert {role: one.column for role, one in found.items() if one.column is not None} == expected


def test_columns_may_be_named_or_left_out(events):
    corpus = Tables(events, user_column='sku', item_column='uid', time_column='', rating_column='').build()
    assert sorted(corpus.users.user_id) == ['1', '2', '3']
    assert np.isnan(corpus.events.rating).all()
    assert corpus.provenance['timestamps'] == 'position in the history'
    assert corpus.provenance['columns']['interactions'] == {'user': "'sku'", 'item': "'uid'"}


def test_what_was_guessed_is_told(events, caplog):
    with caplog.at_level(logging.INFO):
        corpus = Tables(events).build()
    assert corpus.provenance['columns']['interactions']['user'] == "'uid', guessed"
    assert "user 'uid', guessed" in caplog.text
    assert 'seconds' in caplog.text


def test_all_columns_that_are_not_there_are_named(tmp_path, events):
    with pytest.raises(ValueError, match=r"line 1: no column 'user', 'item'"):
        Tables(events, user_column='user', item_column='item').build()
    lines = written(tmp_path, 'e.jsonl', '{"a": 1, "b": 2}\n')
    with pytest.raises(ValueError, match=r"'user', 'item'"):
        Tables(lines, user_column='user', item_column='item').build()
    neither = written(tmp_path, 'n.csv', 'wer,was\na,1\n')
    with pytest.raises(ValueError, match=r'Tables\.user_column.*Tables\.item_column'):
        Tables(neither).build()


def test_all_fields_that_are_not_there_are_named(tmp_path, events):
    people = written(tmp_path, 'u.csv', 'uid,age\na,30\n')
    with pytest.raises(ValueError, match=r"Tables\.profile_fields names 'ages', 'town'"):
        Tables(events, users=people, profile_fields=('ages', 'town')).build()


def test_without_a_clock_the_file_is_the_order(tmp_path):
    path = written(tmp_path, 'e.csv', 'user,item\na,2\nb,1\na,1\na,2\n')
    corpus = Tables(path, relabel_seed=None).build()
    assert corpus.events.timestamp.tolist() == [0, 1, 2, 0]
    assert [corpus.items.item_id[item] for item in corpus.events.item] == ['2', '1', '2', '1']


def test_a_table_without_header_is_named(tmp_path):
    path = written(tmp_path, 'u.data', '7\t2\t3\t881250949\n7\t1\t5\t881250940\n')
    corpus = Tables(path, header=('user', 'item', 'rating', 'time'), relabel_seed=None).build()
    assert corpus.items.item_id == ['2', '1']
    assert corpus.events.item.tolist() == [1, 0]
    with pytest.raises(ValueError, match='4 fields'):
        Tables(path, header=('user', 'item')).build()


def test_few_stars_and_small_cores_are_left_out(events):
    corpus = Tables(events, min_rating=3).build()
    assert corpus.users.user_id == ['a']
    assert corpus.provenance['rows_below_min_rating'] == 2
    with pytest.raises(ValueError, match='Tables.min_rating'):
        Tables(events, min_rating=9).build()
    with pytest.raises(ValueError, match='Tables.rating_column'):
        Tables(events, min_rating=1, rating_column='').build()
    assert len(Tables(events, k_core=1).build().events) == 4
    with pytest.raises(ValueError, match='k_core'):
        Tables(events, k_core=2).build()


def test_items_may_stand_beside_the_events(tmp_path):
    path = written(
        tmp_path, 'e.csv', 'user,item,title,brand,price\na,1,Pen,Bic,1\na,2,Lamp,,20\nb,1,Pen!,Bic,2\n'
    )
    items = Tables(path, relabel_seed=None).build().items
    assert items.title == ['Pen', 'Lamp']
    assert items.brand == ['Bic', '']
    assert items.price.tolist() == [1, 20]


def test_a_title_beside_a_review_is_the_reviews(tmp_path):
    path = written(tmp_path, 'e.csv', 'user_id,asin,title,text\na,1,Good,I like it &amp; more\n')
    corpus = Tables(path).build()
    assert corpus.items.title == ['']
    assert corpus.events.summary == ['Good']
    assert corpus.events.review == ['I like it & more']


@pytest.mark.parametrize(
    ('cell', 'path'),
    [
        ('Home > Lamps', ('Home', 'Lamps')),
        ('Home|Lamps, lit', ('Home', 'Lamps, lit')),
        ('Home, Lamps', ('Home', 'Lamps')),
        ("['Home', 'Lamps']", ('Home', 'Lamps')),
        ('[["Home", "Lamps"], ["Other"]]', ('Home', 'Lamps')),
        ('', ()),
    ],
)
def test_categories_are_lists(tmp_path, events, cell, path):
    items = written(tmp_path, 'i.tsv', f'sku\tcategory\n1\t{cell}\n')
    corpus = Tables(events, items, quote='', relabel_seed=None).build()
    assert corpus.items.categories[0] == path


def test_of_several_paths_the_first_is_taken(tmp_path, events):
    lines = [{'sku': 1, 'categories': [['Home', 'Lamps'], ['Gifts']]}, {'sku': 2, 'categories': None}]
    items = written(tmp_path, 'i.jsonl', ''.join(f'{json.dumps(line)}\n' for line in lines))
    assert Tables(events, items, relabel_seed=None).build().items.categories == [('Home', 'Lamps'), (), ()]


def test_prices_are_numbers_in_any_dress(tmp_path, events):
    items = written(tmp_path, 'i.csv', 'sku,price\n1,"$1,299.50"\n2,25\n3,ask\n')
    prices = Tables(events, items, relabel_seed=None).build().items.price
    np.testing.assert_array_equal(prices, np.float32([1299.5, 25, np.nan]))


def test_scraps_are_taken_out_and_counted(tmp_path, events):
    items = written(tmp_path, 'i.csv', 'sku,title\n1,Tom &amp; <b>Jerry</b>\n2,<script>x</script>\n')
    corpus = Tables(events, items, relabel_seed=None).build()
    assert corpus.items.title == ['Tom & Jerry', '', '']
    assert corpus.provenance['scraps_by_field'] == {'title': 1}


def test_twins_among_items_and_users_are_refused_with_both_lines(tmp_path, events):
    copies = written(tmp_path, 'i.csv', 'sku,title,price\n1,Pen,\n1,Pen,\n')
    assert Tables(events, copies, relabel_seed=None).build().items.title[0] == 'Pen'
    twins = written(tmp_path, 'j.csv', 'sku,title\n1,Pen\n2,Lamp\n1,Ink\n')
    with pytest.raises(ValueError, match=r"j\.csv, line 4: item '1' has title 'Ink', and 'Pen' at .*line 2;"):
        Tables(events, twins).build()
    people = written(tmp_path, 'u.csv', 'uid,age\na,3\na,4\n')
    with pytest.raises(ValueError, match=r"u\.csv, line 3: user 'a'"):
        Tables(events, users=people).build()


def test_tables_that_do_not_belong_together_are_refused(tmp_path, events):
    items = written(tmp_path, 'i.csv', 'sku,title\nB1,Pen\n')
    with pytest.raises(ValueError, match=r"i\.csv: none of the items .*'B1'.*'1'.*Tables\.item_id_column"):
        Tables(events, items).build()


def test_tables_may_call_ids_by_names_of_their_own(tmp_path):
    events = written(tmp_path, 'e.csv', 'kunde,ware\na,1\n')
    items = written(tmp_path, 'i.csv', 'nr,title\n1,Pen\n')
    people = written(tmp_path, 'p.csv', 'user_id,age\na,3\n')
    named = {'user_column': 'kunde', 'item_column': 'ware'}
    corpus = Tables(events, items, people, item_id_column='nr', **named).build()
    assert corpus.items.title == ['Pen']
    assert corpus.users.profile == ['age: 3']
    with pytest.raises(ValueError, match=r'i\.csv: no column of the items .*Tables\.item_id_column'):
        Tables(events, items, **named).build()


def test_profiles_tell_what_is_known(tmp_path, events):
    people = written(tmp_path, 'u.csv', 'uid,age,city\na,30,Rome\nb,,\n')
    assert Tables(events, users=people, relabel_seed=None).build().users.profile == [
        'age: 30, city: Rome',
        '',
    ]
    only = Tables(events, users=people, profile_fields=('city',), relabel_seed=None)
    assert only.build().users.profile == ['city: Rome', '']
    with pytest.raises(ValueError, match=r'Tables\.profile_fields names .cty., .* it has city'):
        Tables(events, users=people, profile_fields=('cty',)).build()


def test_a_folder_of_sequences_is_read_as_before(tmp_path):
    folder = write_directory(tmp_path / 'beauty', sequences=['7 1 2 3 4', '12 5 1'])
    source = Tables(str(folder))
    assert source.name == 'sequence_files/beauty'
    assert source.build().fingerprint() == SequenceFiles(str(folder)).build().fingerprint()
    with pytest.raises(ValueError, match=r'Tables\.k_core'):
        Tables(str(folder), k_core=5)


@pytest.mark.parametrize(
    'settings',
    [
        {'bad_rows': 'skip'},
        {'duplicates': 'keep'},
        {'ties': 'none'},
        {'time_format': 'seconds'},
        {'description_fields': 'colour'},
        {'delimiter': '::'},
        {'encoding': 'klingon'},
    ],
)
def test_settings_are_checked_at_construction(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=rf'Tables\.{name}'):
        Tables('x.csv', **settings)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.csv is missing; Tables\.interactions'):
        Tables(str(tmp_path / 'nowhere.csv')).input_files()
    (tmp_path / 'folder').mkdir()
    with pytest.raises(FileNotFoundError, match='has no file'):
        Tables(str(tmp_path / 'folder')).build()
    (tmp_path / 'folder' / 'day=1').mkdir()
    with pytest.raises(ValueError, match='day=1'):
        Tables(str(tmp_path / 'folder')).build()


def test_the_identity_does_not_depend_on_where_files_lie(tmp_path, events):
    (tmp_path / 'other').mkdir()
    moved = written(tmp_path / 'other', 'events.csv', EVENTS)
    assert identity(Tables(events)) == identity(Tables(moved))
    assert identity(Tables(events)) != identity(Tables(events, k_core=2))


def test_columns_that_nothing_is_read_of_are_told():
    found = roles(['uid', 'sku', 'Bought at', 'colour'], {'user': None, 'item': None, 'time': None})
    assert in_words(found, ['uid', 'sku', 'Bought at', 'colour'], ['colour']).endswith(
        "not read: 'Bought at'"
    )
    assert 'not read' not in in_words(found, ['uid', 'sku'])
