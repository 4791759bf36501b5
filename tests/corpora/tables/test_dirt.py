"""What real tables are like: read right, or refused by one message that says where, and how to mend it."""

import dataclasses
import gzip
import json
import re
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.corpora.tables.source import Tables
from tests.corpora.tables.test_forms import SHOP
from tests.corpora.tables.written import FORMS, zstd

HEAD = 'user_id,item_id,rating,timestamp\n'
FIELDS = {field.name for field in dataclasses.fields(Tables)}


def written(tmp_path, content, name='events.csv'):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def pairs(corpus):
    """(user, item) of the events, in the order of the corpus."""
    users, items = list(corpus.users.user_id), list(corpus.items.item_id)
    return [(users[u], items[i]) for u, i in zip(corpus.events.user, corpus.events.item)]


def read(tmp_path, content, **settings):
    return Tables(written(tmp_path, content), relabel_seed=None, **settings).build()


@pytest.mark.parametrize(
    'content',
    [
        HEAD + 'a,1,5,10\n\nb,2,4,20\n',
        HEAD + 'a,1,5,10\n   \n,\n""\nb,2,4,20\n,,,\n',
        '\n\n' + HEAD + 'a,1,5,10\nb,2,4,20',
        HEAD.replace(',', ', ') + 'a, 1, 5, 10\nb, 2, 4, 20\n',
        HEAD + '"a","1","5","10"\r\n"b","2","4","20"\r\n',
        (HEAD + 'a,1,5,10\r\nb,2,4,20\r\n').encode('utf-16'),
        '\ufeff' + HEAD + 'a,1,5,10\nb,2,4,20\n',
        HEAD + 'a,1.0,5,10\nb,2.0,,20\n',
        'x,user_id,note,item_id,timestamp\n0,a,"1\n2",1,10\n1,b,,2,20\n',
    ],
    ids=['blank', 'blanks', 'before', 'padded', 'quoted', 'utf16', 'bom', 'float_ids', 'lines_in_fields'],
)
def test_what_is_harmless_is_read(tmp_path, content):
    corpus = read(tmp_path, content)
    assert pairs(corpus) == [('a', '1'), ('b', '2')]
    assert corpus.events.timestamp.tolist() == [10, 20]


CASES = {
    'empty': (b'', None, 'events.csv'),
    'white space': (b'\n \n', None, 'events.csv'),
    'nothing': ('""\n', None, 'has no header'),
    'blank header': (',,\n' + HEAD, None, 'Tables.user_column'),
    'no rows': (HEAD, None, 'header'),
    'no rows, no line end': (HEAD.strip(), None, 'header'),
    'few fields': (HEAD + 'a,1,5,10\nb,2\n', 3, '2 fields'),
    'many fields': (HEAD + 'a,1,5,10\n\nb,2,4,20,1\n', 4, '5 fields'),
    'open quote': (HEAD + 'a,1,5,10\nb,"2,4,20\nc,3,4,30\n', 3, 'Tables.quote'),
    'stray quote': (HEAD + 'a,1,5,10\nb,"2" x,4,20\nc,3,4,30\n', 3, 'Tables.quote'),
    'bad number': (HEAD + 'a,1,5,10\nb,2,good,20\n', 3, "'rating' is 'good'"),
    'infinite number': (HEAD + 'a,1,5,10\nb,2,1e999,20\n', 3, "'rating' is '1e999'"),
    'bad time': (HEAD + 'a,1,5,10\nb,2,4,soon\n', 3, "'timestamp' is 'soon'"),
    'bad first time': (HEAD + 'a,1,5,soon\n', 2, "'timestamp': 'soon'"),
    'no user': (HEAD + 'a,1,5,10\n,2,4,20\n', 3, "'user_id' is empty"),
    'no item': (HEAD + '"a\nb",1,5,10\nb,,4,20\n', 4, "'item_id' is empty"),
    'no time': (HEAD + 'a,1,5,10\nb,2,4,\n', 3, "'timestamp' is empty"),
    'encoding': (HEAD.encode() + b'a,1,5,10\nb\xe9,2,4,20\n', 3, 'Tables.encoding'),
    'units': (HEAD + 'a,1,5,1577934245\nb,2,4,1577934245000\n', 3, 'Tables.time_format'),
    'twin columns': ('user_id,user_id,item_id\na,b,1\n', 1, "two columns 'user_id'"),
    'no column': ('wer,was\na,1\n', None, 'Tables.user_column'),
    'no header': ('1,2,5,10\n3,4,5,20\n', None, 'Tables.header'),
    'json array': ('[{"user_id": 1}]', 1, 'JSON array'),
    'json': ('{"user_id": 1, "item_id": 2}\n{"user_id": 1,\n', 2, 'not JSON'),
    'json list': ('{"user_id": 1, "item_id": 2}\n\n[1]\n', 3, 'not an object'),
    'json object': ('{"user_id": 1, "item_id": 2}\n{"user_id": {"a": 1}, "item_id": 2}\n', 2, "'user_id'"),
    'json no user': (
        '{"user_id": 1, "item_id": 2}\n{"user_id": null, "item_id": 2}\n',
        2,
        "'user_id' is empty",
    ),
}


@pytest.mark.parametrize('case', CASES)
def test_what_cannot_be_read_is_named(tmp_path, case):
    content, line, said = CASES[case]
    with pytest.raises(ValueError) as raised:
        read(tmp_path, content)
    message = str(raised.value)
    assert 'events.csv' in message
    assert said in message
    assert re.findall(r'line (\d+)', message)[:1] == ([] if line is None else [str(line)])
    # A mend that does not exist mends nothing.
    assert set(re.findall(r'Tables\.(\w+)', message)) <= FIELDS


@pytest.mark.parametrize('pack', [gzip.compress, zstd], ids=['gzip', 'zstd'])
def test_a_packed_file_that_is_cut_short_is_named(tmp_path, pack):
    content = (HEAD + ''.join(f'user{row},{row % 7},5,{row}\n' for row in range(100_000))).encode()
    whole = pack(content)
    assert len(read(tmp_path, whole).events) == 100_000
    with pytest.raises(ValueError, match=r'events\.csv, after line \d+: not a whole'):
        read(tmp_path, whole[: len(whole) // 2])


def test_archives_and_damaged_parquet_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / 'events.zip', 'w') as archive:
        archive.writestr('events.csv', HEAD)
    with pytest.raises(ValueError, match='zip archive'):
        Tables(str(tmp_path / 'events.zip')).build()
    content = FORMS['parquet'](SHOP[0])
    for damaged in (content[:-10], content[: len(content) // 2]):
        with pytest.raises(ValueError, match=r'events\.csv: not a whole Parquet file'):
            read(tmp_path, damaged)


def test_a_row_of_parquet_is_named(tmp_path):
    pq.write_table(pa.table({'user': ['a', None], 'item': [1, 2]}), tmp_path / 'events.parquet')
    with pytest.raises(ValueError, match=r"events\.parquet, row 2: column 'user' is empty"):
        Tables(str(tmp_path / 'events.parquet')).build()


def test_the_part_is_named(tmp_path):
    for name, row in (
        ('part-9', 'a,1,5,10\n'),
        ('part-10', 'a,1,5,10\nb,2,bad,20\n'),
        ('part-11', 'c,1,1,1\n'),
    ):
        written(tmp_path, HEAD + row, f'{name}.csv')
    with pytest.raises(ValueError, match=r'part-10\.csv, line 3'):
        Tables(str(tmp_path)).build()
    written(tmp_path, 'user_id,item_id,timestamp\nb,2,20\n', 'part-10.csv')
    with pytest.raises(ValueError, match=r"part-10\.csv, line 1: no column 'rating'"):
        Tables(str(tmp_path)).build()


def test_bad_rows_may_be_dropped(tmp_path):
    content = HEAD + 'a,1,5,10\nb,2\n,2,4,20\nb,2,x,20\nc,3,4,\n\nd,4,1,40\n'
    corpus = read(tmp_path, content, bad_rows='drop')
    assert pairs(corpus) == [('a', '1'), ('d', '4')]
    assert corpus.provenance['rows_unreadable'] == 4
    assert corpus.provenance['rows_read'] == 6


def test_repeated_rows_are_dropped_or_refused(tmp_path):
    content = HEAD + 'a,1,5,10\nb,1,5,10\na,1,4,10\na,1,5,11\n'
    corpus = read(tmp_path, content)
    assert corpus.events.timestamp.tolist() == [10, 11, 10]
    assert corpus.events.rating.tolist() == [5, 5, 5]
    assert corpus.provenance['duplicates'] == 1
    with pytest.raises(
        ValueError, match=r"line 4: user 'a' has item '1' at the same time at .*line 2 already"
    ):
        read(tmp_path, content, duplicates='error')


def test_quotes_may_be_taken_as_they_are(tmp_path):
    content = HEAD.replace(',', '\t') + 'a\t"1\t5\t10\nb\t2\t4\t20\n'
    assert pairs(read(tmp_path, content, quote='')) == [('a', '"1'), ('b', '2')]


def test_a_quote_within_a_field_is_a_letter(tmp_path):
    assert pairs(read(tmp_path, HEAD + 'a,5" pipe,5,10\nb,2,4,20\n')) == [('a', '5" pipe'), ('b', '2')]


def test_a_field_that_changes_its_kind_is_read_as_text(tmp_path):
    lines = [
        {'user': 76561197970982479, 'item': 1, 'time': 1577934245, 'rating': 5},
        {'user': 76561197970982480, 'item': '2', 'time': 1577934246.5, 'rating': 4.5},
        {'user': 76561197970982479, 'item': 3, 'time': 1577934247},
    ]
    corpus = read(tmp_path, ''.join(f'{json.dumps(line)}\n' for line in lines))
    assert pairs(corpus) == [
        ('76561197970982479', '1'),
        ('76561197970982479', '3'),
        ('76561197970982480', '2'),
    ]
    assert corpus.events.rating[[0, 2]].tolist() == [5, 4.5]


def test_fields_may_begin_late_and_are_missed_where_no_line_has_them(tmp_path):
    lines = [{'user': 'a', 'item': 'x'}, {'user': 'a', 'item': 'y', 'rating': 2}]
    content = ''.join(f'{json.dumps(line)}\n' for line in lines)
    assert read(tmp_path, content).events.rating[1] == 2
    with pytest.raises(ValueError, match="no line has a field 'stars'"):
        read(tmp_path, content, rating_column='stars')


def test_a_title_that_looks_like_a_date_is_a_title(tmp_path):
    lines = [
        {'user': 'a', 'item': 'x', 'title': '1999-12-31'},
        {'user': 'a', 'item': 'y', 'title': '2012-01-01'},
    ]
    corpus = read(tmp_path, ''.join(f'{json.dumps(line)}\n' for line in lines))
    assert corpus.items.title == ['1999-12-31', '2012-01-01']


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_mutated_files_are_read_or_refused(tmp_path_factory, data):
    form = data.draw(st.sampled_from(['csv', 'tsv', 'recbole', 'jsonl', 'parquet', 'csv_gz']))
    content = bytearray(FORMS[form](SHOP[0]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.integers(0, 4))
        content[at : at + cut] = data.draw(
            st.sampled_from([b'', b'"', b',', b'\n', b'\r', b'\xff', b'\x00', b'9', b'{'])
        )
    path = written(tmp_path_factory.mktemp('fuzz'), bytes(content))
    try:
        corpus = Tables(path).build()
    except ValueError as error:
        assert 'events.csv' in str(error)
    else:
        assert 1 <= len(corpus.events) <= 6
