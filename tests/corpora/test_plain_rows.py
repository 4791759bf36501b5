import io

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from llmrec_jax.corpora import plain_rows as reader
from llmrec_jax.corpora.plain_rows import COLUMNS, plain_rows, table_of

WRITTEN = b'7,2,3.5,964982703\n7,01,5.0,-4\n8,1,1,5\n'
ROWS = [('7', '2', 3.5, 964982703), ('7', '01', 5.0, -4), ('8', '1', 1.0, 5)]


def rows_of(content: bytes, separator: str = ',') -> tuple[list[tuple], bool]:
    """The rows that were read, and whether that was all."""
    tables = list(plain_rows(io.BufferedReader(io.BytesIO(content)), separator))
    whole = None not in tables
    found = [row for table in tables if table is not None for row in zip(*table.to_pydict().values())]
    return found, whole


@pytest.mark.parametrize('separator', [',', '\t', '::'])
@pytest.mark.parametrize('end', [b'\n', b'\r\n'])
def test_plain_rows_are_read_whole(separator, end):
    content = WRITTEN.replace(b',', separator.encode()).replace(b'\n', end)
    assert rows_of(content, separator) == (ROWS, True)
    assert rows_of(content.rstrip(b'\r\n'), separator) == (ROWS, True)
    assert table_of(*map(list, zip(*ROWS))).to_pydict() == dict(zip(COLUMNS, map(list, zip(*ROWS))))


@pytest.mark.parametrize(
    'odd',
    [
        b'\n', b'7,2,3.5\n', b'7,2,3.5,1,\n', b'"7",2,3.5,1\n', b' 7,2,3.5,1\n', b'7,2,nan,1\n',
        b'7,2,3.5,0x1\n', b'7,2,,1\n', b'7,2,3.5,1_0\n', b'7,2,3.5,1.0\n', b'7,2,3.5,9223372036854775808\n',
        b'7,2,3-5,1\n', b'7,2,3.5\r,1\n', b'7,2,3.5,1\r\r\n', b'\xef\xbb\xbf7,2,3.5,1\n', b'7,2,1e1,1\n',
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_the_reader_of_lines(odd, monkeypatch):
    assert rows_of(odd + WRITTEN) == ([], False)
    # A block is one line here: what stands before the odd one is read, what follows it is not.
    monkeypatch.setattr(reader, 'BLOCK_BYTES', 1)
    assert rows_of(WRITTEN + odd + WRITTEN) == (ROWS, False)


@pytest.mark.parametrize('odd', [b'7::2::3.5,::1\n', b'7:::2::3.5::1\n', b'7::2:3.5::1::1\n'])
def test_scraps_of_a_long_separator_are_not_plain(odd):
    assert rows_of(odd, '::') == ([], False)


@given(st.text('0123456789.-', max_size=8), st.text('0123456789-', max_size=21))
def test_numbers_are_those_that_python_reads(rating, timestamp):
    found, whole = rows_of(f'1,2,{rating},{timestamp}\n'.encode())
    try:
        expected = [('1', '2', float(np.float32(rating)), int(np.int64(int(timestamp))))]
    except (ValueError, OverflowError):
        assert (found, whole) == ([], False)
    else:
        assert found == expected if whole else not found
