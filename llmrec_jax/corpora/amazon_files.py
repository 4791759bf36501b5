"""How the files of Amazon's reviews are read: the reviews of 2014 and 2018, and the products of all years."""

import re
from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_jax.corpora import scraped_text
from llmrec_jax.corpora.listed_once import ListedOnce
from llmrec_jax.corpora.raw_events import ItemRecord, RawEvents
from llmrec_jax.corpora.raw_files import (
    bad_line,
    filled_lines,
    is_number,
    is_whole,
    json_line,
    json_records,
    numbered_lines,
    well_formed,
)
from llmrec_jax.corpora.scraped_text import Scraps

_REVIEW = 'a review with reviewerID, asin, overall (stars) and unixReviewTime (seconds)'


def read_reviews(path: Path, scraps: Scraps) -> RawEvents:
    """The reviews in file order; the forms of 2014 and 2018 name these fields alike.

    Args:
      path: of the file.
      scraps: counts what was taken out of the texts.

    Raises:
      ValueError: naming file and line, when a line is no such review.
    """
    columns: tuple[list, ...] = ([], [], [], [], [], [], [])
    for number, record in json_records(path):
        values = (
            number,
            text_id(path, number, record, 'reviewerID', _REVIEW),
            text_id(path, number, record, 'asin', _REVIEW),
            checked(path, number, record, 'unixReviewTime', is_whole, _REVIEW),
            checked(path, number, record, 'overall', is_number, _REVIEW),
            scraped_text.opinion(record.get('summary'), 'summary', scraps),
            scraped_text.opinion(record.get('reviewText'), 'review', scraps),
        )
        for column, value in zip(columns, values):
            column.append(value)
    return events_of_columns(columns)


def events_of_columns(columns: tuple[list, ...]) -> RawEvents:
    """Events whose columns stand in the order of `RawEvents`."""
    line, user_id, item_id, timestamp, rating, summary, review = columns
    return RawEvents(
        np.asarray(line, np.int64),
        user_id,
        item_id,
        np.asarray(timestamp, np.int64),
        np.asarray(rating, np.float32),
        summary,
        review,
    )


def text_id(path: Path, number: int, record: dict[str, Any], field: str, expected: str) -> str:
    """The id that a record holds.

    Args:
      path: of the file, for messages.
      number: of the line, for messages.
      record: the line's object.
      field: that holds the id.
      expected: what a line holds, for messages.

    Raises:
      ValueError: when it is no text, or empty.
    """
    value = record.get(field)
    if not isinstance(value, str) or not value.strip():
        bad_line(path, number, f'field {field!r} is {value!r}', expected)
    return well_formed(value).strip()


def checked(path: Path, number: int, record: dict[str, Any], field: str, holds: Any, expected: str) -> Any:
    """The value of a field, of which `holds` is true.

    Args:
      path: of the file, for messages.
      number: of the line, for messages.
      record: the line's object.
      field: that holds the value.
      holds: tells whether a value will do.
      expected: what a line holds, for messages.

    Raises:
      ValueError: when it is not.
    """
    value = record.get(field)
    if not holds(value):
        bad_line(path, number, f'field {field!r} is {value!r}', expected)
    return value


def read_products(
    path: Path, wanted: Set[str], id_field: str, keep_first: bool, scraps: Scraps
) -> ListedOnce[ItemRecord]:
    """The products in `wanted`; the lines of others, twenty times as many, are not parsed.

    Args:
      path: of the metadata, whose lines are JSON (2018, 2023) or Python literals (2014).
      wanted: ids of products.
      id_field: 'asin', or 'parent_asin' (2023).
      keep_first: whether the earlier of two lines that contradict each other holds.
      scraps: counts what was taken out of the texts.

    Raises:
      ValueError: naming file and line, when a line is malformed or contradicts another.
    """
    ids = re.compile(rf"""['"]{id_field}['"]\s*:\s*['"]([^'"]*)['"]""")
    products = ListedOnce[ItemRecord](
        path,
        'product',
        mend="each product once, or copies of it (duplicates='keep_first' goes by the earlier line)",
        keep_first=keep_first,
    )
    for number, line in filled_lines(numbered_lines(path)):
        named = ids.findall(line)
        if named and wanted.isdisjoint(name.strip() for name in named):
            continue
        record = json_line(path, number, line, python_literals=True)
        product = text_id(path, number, record, id_field, f'a product with its {id_field!r}')
        if product in wanted:
            products.add(number, product, _product(record, scraps))
    return products


def _product(record: dict[str, Any], scraps: Scraps) -> ItemRecord:
    return ItemRecord(
        title=scraped_text.line(record.get('title'), 'title', scraps),
        # 2023 names the maker's store; its 'brand' stands among the details, which have no fixed form.
        brand=scraped_text.brand(record.get('brand', record.get('store')), scraps),
        categories=_categories(record, scraps),
        description=scraped_text.paragraphs(record.get('description'), 'description', scraps),
        price=scraped_text.price(record.get('price'), scraps),
    )


def _categories(record: dict[str, Any], scraps: Scraps) -> tuple[str, ...]:
    """The first path (2014: a list of paths; 2018 and 2023: one path), or 2023's main category alone."""
    value = record.get('categories', record.get('category'))
    path = value[0] if isinstance(value, list) and value and isinstance(value[0], list) else value
    found = scraped_text.path(path, scraps) if isinstance(path, list) else ()
    main = scraped_text.line(record.get('main_category'), 'categories', scraps)
    return found or ((main,) if main else ())
