import pickle

import numpy as np
import pyarrow as pa
import pytest

from llmrec_jax.corpora import text_column
from llmrec_jax.corpora.text_column import TextColumn

TEXTS = ['pen', '', 'lämp 漢字', 'pen', 'cup', '']


def of_values(texts):
    return TextColumn.of(list(texts))


def of_codes(texts):
    # A value that no row has, one that stands twice, and an order that is not that of the rows.
    values = ['unused', *reversed(list(dict.fromkeys(texts))), *texts[:1]]
    codes = [values.index(text) for text in texts]
    return TextColumn.from_codes(values, np.asarray(codes[:-1] + codes[-1:], np.int16))


def of_dictionary(texts):
    half = len(texts) // 2
    parts = [pa.array(part, pa.string()).dictionary_encode() for part in (texts[:half], texts[half:])]
    return TextColumn.from_arrow(pa.chunked_array(parts))


@pytest.mark.parametrize('make', [of_values, of_codes, of_dictionary])
def test_a_column_is_the_sequence_of_its_texts(make):
    column = make(TEXTS)
    assert column == TEXTS and column == of_values(TEXTS)
    assert TEXTS.__eq__(column) is NotImplemented and not TEXTS != column  # noqa: SIM300, SIM202
    assert column != TEXTS[:-1] and column != [*TEXTS[:-1], 'x'] and column != of_values(TEXTS[::-1])
    assert list(column) == TEXTS and [column[row] for row in range(len(TEXTS))] == TEXTS
    assert (column[-1], column[np.int64(2)]) == ('', 'lämp 漢字')
    assert column[1:4] == TEXTS[1:4] and column[::-2] == TEXTS[::-2] and column[4:1] == []
    assert 'cup' in column and 'unused' not in column
    assert column.to_arrow().to_pylist() == TEXTS
    assert pickle.loads(pickle.dumps(column)) == TEXTS
    assert [len(part) for part in column.chunks(4)] == [4, 2]
    with pytest.raises(IndexError):
        column[6]


@pytest.mark.parametrize('make', [of_values, of_codes, of_dictionary])
def test_taken_rows_are_in_the_order_asked_for(make):
    for rows in ([5, 0, 2], [], [3, 2, 1, 0, 2, 2, 2, 5, 4]):
        assert make(TEXTS).take(np.asarray(rows, np.int64)) == [TEXTS[row] for row in rows]
    for rows in ([6], [-1], [0, 1, 2, 3, 4, 5, 6]):
        with pytest.raises(IndexError):
            make(TEXTS).take(np.asarray(rows))


@pytest.mark.parametrize('make', [of_values, of_codes, of_dictionary])
def test_encoding_gives_distinct_texts_as_they_first_appear(make):
    distinct, codes = make(TEXTS).encode()
    assert distinct == ['pen', '', 'lämp 漢字', 'cup']
    assert codes.tolist() == [0, 1, 2, 0, 3, 1]
    distinct, codes = make(TEXTS)[:0].encode()
    assert distinct == [] and codes.tolist() == []


def test_a_constant_takes_no_memory_a_row():
    before = pa.total_allocated_bytes()
    column = TextColumn.constant('', 10**12)
    assert len(column) == 10**12 and column[10**12 - 1] == '' and column.is_constant
    assert pa.total_allocated_bytes() - before < 1024
    few = column.take(np.arange(3))
    assert few.is_constant and few == ['', '', ''] == TextColumn.constant('', 3).to_arrow().to_pylist()
    distinct, codes = few.encode()
    assert distinct == [''] and codes.tolist() == [0, 0, 0]


def test_what_is_gone_through_in_parts_is_whole(monkeypatch):
    monkeypatch.setattr(text_column, 'CHUNK', 2)
    assert list(of_codes(TEXTS)) == list(of_values(TEXTS)) == TEXTS


@pytest.mark.parametrize(
    ('texts', 'row'), [(['a', None], 1), ([b'a'], 0), (['a', 'b', 3], 2), (['a', 'b\ud800'], 1)]
)
def test_what_is_no_text_is_named_by_its_row(texts, row):
    with pytest.raises(ValueError, match=f'row {row} '):
        TextColumn.of(texts)


def test_nulls_are_refused():
    array = pa.array(['a', None])
    hidden = pa.DictionaryArray.from_arrays(pa.array([0, 1]), array)
    for nulls in (array, array.dictionary_encode(), pa.chunked_array([array]), hidden):
        with pytest.raises(ValueError, match='1 rows'):
            TextColumn.from_arrow(nulls)
