"""One thing an id, however often a file tells of it."""

import pathlib

import pytest

from llmrec_jax.corpora.listed_once import ListedOnce
from llmrec_jax.corpora.raw_events import ItemRecord


def listed(*records: ItemRecord, keep_first: bool = False) -> ListedOnce:
    once = ListedOnce(pathlib.Path('items'), 'item', mend='each once', keep_first=keep_first)
    for number, record in enumerate(records, start=3):
        once.add(number, 'a', record)
    return once


def test_exact_copies_count_once():
    record = ItemRecord('A', 'B', ('C',), 'D', 1.0)
    once = listed(record, record, ItemRecord(price=float('nan')), record)
    assert once.records == {'a': record}
    assert once.repeated == 3


def test_a_value_is_never_replaced_by_an_empty_one_and_fills_one():
    once = listed(
        ItemRecord(title='A'), ItemRecord(brand='B', price=2.0), ItemRecord(title='A', categories=('C',))
    )
    assert once.records == {'a': ItemRecord('A', 'B', ('C',), '', 2.0)}


@pytest.mark.parametrize(
    ('first', 'again', 'named'),
    [
        (ItemRecord(title='A'), ItemRecord(title='B'), "item 'a' has title 'B', but 'A' on line 3"),
        (ItemRecord(price=1.0), ItemRecord(price=2.0), 'has price 2.0, but 1.0 on line 3'),
        (ItemRecord(categories=('A',)), ItemRecord(categories=('B',)), 'has categories'),
    ],
)
def test_a_contradiction_names_both_lines_or_goes_by_the_first(first, again, named):
    with pytest.raises(ValueError, match=f'items, line 4: .*{named}'.replace('(', r'\(')):
        listed(first, again)
    assert listed(first, again, keep_first=True).records == {'a': first}
