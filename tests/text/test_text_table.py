"""Texts and answers from a file: what is read, and that all which is wrong is told at once."""

import gzip

import pytest

from llmrec_jax.text.text_table import read_text_table


@pytest.fixture
def written(tmp_path):
    """Writes a file; gives its path."""

    def write(content, name='train.tsv'):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    'content',
    [
        'a lamp\tlike\n"dull"\tdislike\n',
        '\ufeffa lamp\tlike\r\n\r\n \t \n"dull" \t dislike',
        gzip.compress(b'a lamp\tlike\n"dull"\tdislike\n'),
    ],
    ids=['plain', 'bom, blanks', 'gzip'],
)
def test_pairs_are_read(written, content):
    assert read_text_table(written(content)) == {
        'inputs': ['a lamp', '"dull"'],
        'targets': ['like', 'dislike'],
    }


def test_columns_are_found_by_the_names_of_a_header(written):
    path = written('id\tstars\treview\n1\t5\tbright\n2\t1\tdull\n')
    found = read_text_table(path, {'inputs': 'review', 'targets': 'stars'})
    assert found == {'inputs': ['bright', 'dull'], 'targets': ['5', '1']}


@pytest.mark.parametrize(
    ('line', 'column'),
    [
        (b'no answer', 'targets'),
        (b'empty answer\t', 'targets'),
        (b'\tlike', 'inputs'),
        (b'a\tlike\tdislike', '3 columns'),
        (b'caf\xe9\tlike', 'utf-8'),
    ],
)
def test_a_bad_line_is_named_with_its_column_and_the_other_bad_lines(written, line, column):
    path = written(b'a\tlike\n\n' + line + b'\nb\tlike\nno answer\n')
    with pytest.raises(ValueError, match=column) as raised:
        read_text_table(path)
    assert f'{path}, line 3' in str(raised.value) and 'others are 5' in str(raised.value)


def test_all_columns_that_a_header_lacks_are_named(written):
    path = written('id\ttext\n1\tbright\n')
    with pytest.raises(ValueError, match=r"'review', 'stars'") as raised:
        read_text_table(path, {'inputs': 'review', 'targets': 'stars'})
    assert f'{path}, line 1' in str(raised.value)


@pytest.mark.parametrize('columns', [('inputs', 'targets'), {'inputs': 'review', 'targets': 'stars'}])
def test_a_file_without_a_pair_is_named(written, columns):
    with pytest.raises(ValueError, match=r'train\.tsv'):
        read_text_table(written('\n'), columns)
