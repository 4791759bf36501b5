"""Texts and their answers from tab-separated values, a pair a line; what is wrong is told at once."""

import os
import pathlib
from collections.abc import Mapping, Sequence

from llmrec_jax.corpora.raw_files import bad_line, decoded_line, existing_file, raw_lines, unpacked
from llmrec_jax.corpora.wrong_lines import all_told

COLUMNS = ('inputs', 'targets')


def read_text_table(
    path: str | os.PathLike, columns: Sequence[str] | Mapping[str, str] = COLUMNS
) -> dict[str, list[str]]:
    """The columns of a UTF-8 file, plain or gzip, without white space at the ends of texts.

    Blank lines are passed over, and quotes are taken as they are.

    Args:
      path: of the file.
      columns: of a file without a header, the names of all columns in order; of one whose first line is a
        header, what a column is called here -> what the header calls it.

    Returns:
      Name of a column -> its texts, in the order of the lines.

    Raises:
      FileNotFoundError: when there is no such file.
      ValueError: naming the file and all columns that its header lacks; or the first line with an empty or
        missing column, more columns than there should be or bytes that are no UTF-8, and the numbers of the
        other such lines; or that there is no line.
    """
    path = existing_file(
        pathlib.Path(path), 'texts and answers, with a tab between them', 'Name one that is.'
    )
    found: dict[str, list[str]] = {name: [] for name in columns}
    wrong: dict[int, str] = {}
    with open(path, 'rb') as file:
        lines = ((number, line) for number, line in raw_lines(unpacked(file), str(path)) if line.strip())
        header = list(columns)
        if isinstance(columns, Mapping):
            header = _header(path, next(lines, (1, b'')), columns)
        for number, line in lines:
            try:
                row = _row(path, number, line, header, found)
            except ValueError as error:
                wrong[number] = str(error)
                continue
            for name, text in row.items():
                found[name].append(text)
    if wrong:
        raise ValueError(all_told(wrong))
    if not any(found.values()):
        raise ValueError(f'{path} has no line with {_named(columns)}; write one text and its answer a line')
    return found


def _header(path: pathlib.Path, first: tuple[int, bytes], columns: Mapping[str, str]) -> list[str]:
    """What each column of the file is called here, or its own name where it is not read."""
    number, line = first
    names = _cells(path, number, line)
    absent = [name for name in columns.values() if names.count(name) != 1]
    if absent:
        bad_line(
            path,
            number,
            f'the header has {_named(names)}, and not once each {_named(absent)}',
            'the names that the task gives its columns; change the header or the task',
        )
    here = {name: column for column, name in columns.items()}
    return [here.get(name, f'column {name}') for name in names]


def _row(
    path: pathlib.Path, number: int, line: bytes, header: Sequence[str], wanted: Mapping[str, object]
) -> dict[str, str]:
    """The texts of one line by column.

    Raises:
      ValueError: naming the line.
    """
    cells = _cells(path, number, line)
    expected = f'{len(header)} columns with tabs between them: {_named(header)}'
    if len(cells) > len(header):
        bad_line(path, number, f'{len(cells)} columns', expected)
    row = dict(zip(header, cells))
    empty = [name for name in wanted if not row.get(name)]
    if empty:
        bad_line(path, number, f'no text in {_named(empty)}', f'{expected}, none of them empty')
    return {name: row[name] for name in wanted}


def _cells(path: pathlib.Path, number: int, line: bytes) -> list[str]:
    return [cell.strip() for cell in decoded_line(path, number, line).split('\t')]


def _named(names: Sequence[str] | Mapping[str, object]) -> str:
    return ', '.join(map(repr, names))
