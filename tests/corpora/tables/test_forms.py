"""A table is the same corpus in whatever form it is written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.corpora.tables.source import Tables
from tests.corpora.tables.written import FORMS, Column, write

SETTINGS = {'corpus_name': 'shop', 'description_fields': ('colour',)}
_TEXT = st.text(st.characters(exclude_categories=('Cs', 'Cc')), max_size=8)
# What a list in one cell is parted by, or what a spreadsheet's text may not begin with, names no category.
_NAMES = st.lists(st.text('abcXYZé', min_size=1, max_size=3), max_size=3)


def ids(count):
    return st.lists(_TEXT.map(str.strip).filter(bool), min_size=count, max_size=count, unique=True)


@st.composite
def shops(draw):
    """Tables of interactions, items and users."""
    items, users = draw(ids(4)), draw(ids(3))
    n = draw(st.integers(2, 9))
    event = {'min_size': n, 'max_size': n}
    interactions = [
        Column('user_id', 'token', draw(st.lists(st.sampled_from(users), **event))),
        Column('item_id', 'token', draw(st.lists(st.sampled_from(items), **event))),
        Column('timestamp', 'float', draw(st.lists(st.integers(0, 2_000_000_000), **event))),
        Column(
            'rating', 'float', draw(st.lists(st.none() | st.integers(2, 10).map(lambda r: r / 2), **event))
        ),
    ]
    each = {'min_size': 4, 'max_size': 4}
    catalogue = [
        Column('item_id', 'token', items),
        Column('title', 'token', draw(st.lists(st.none() | _TEXT, **each))),
        Column('genres', 'token_seq', draw(st.lists(_NAMES, **each))),
        Column(
            'price', 'float', draw(st.lists(st.none() | st.integers(0, 400).map(lambda p: p / 4), **each))
        ),
        Column('colour', 'token', draw(st.lists(st.sampled_from(['red', 'blue']), **each))),
    ]
    people = [
        Column('user_id', 'token', users),
        Column(
            'city',
            'token',
            draw(st.lists(st.none() | st.sampled_from(['Rome', 'São']), min_size=3, max_size=3)),
        ),
    ]
    return interactions, catalogue, people


def corpus_of(folder, shop, form, in_parts=False):
    interactions, catalogue, people = (
        write(folder, name, table, form, in_parts)
        for name, table in zip(('events', 'things', 'people'), shop)
    )
    return Tables(interactions, catalogue, people, **SETTINGS).build()


@settings(max_examples=8, deadline=None)
@given(shops())
def test_every_form_gives_one_corpus(tmp_path_factory, shop):
    folder = tmp_path_factory.mktemp('forms')
    found = {form: corpus_of(folder / form, shop, form).fingerprint() for form in FORMS}
    assert set(found.values()) == {found['csv']}


@settings(max_examples=10, deadline=None)
@given(shops(), st.sampled_from(['csv', 'tsv', 'recbole', 'jsonl', 'parquet', 'csv_gz']))
def test_parts_give_the_corpus_of_the_whole(tmp_path_factory, shop, form):
    folder = tmp_path_factory.mktemp('parts')
    whole = corpus_of(folder / 'whole', shop, form)
    assert corpus_of(folder / 'parts', shop, form, in_parts=True).fingerprint() == whole.fingerprint()


SHOP = (
    [
        Column('user_id', 'token', ['b', 'a', 'a', 'b', 'a']),
        Column('item_id', 'token', ['2', '1', '2', '1', '3']),
        Column('timestamp', 'float', [30, 20, 10, 40, 20]),
        Column('rating', 'float', [4.5, None, 3, 1, 2]),
    ],
    [
        Column('item_id', 'token', ['1', '2', '9']),
        Column('title', 'token', ['Red "pen", fine', 'Lamp', 'Unsold']),
        Column('genres', 'token_seq', [['Desk', 'Pens'], [], ['Desk']]),
        Column('price', 'float', [1.25, None, 7]),
        Column('colour', 'token', ['red', None, 'blue']),
    ],
    [Column('user_id', 'token', ['a', 'b']), Column('city', 'token', ['Rome', None])],
)


@pytest.mark.parametrize('form', FORMS)
def test_every_form_gives_these_values(tmp_path, form):
    interactions, catalogue, people = (
        write(tmp_path, name, table, form) for name, table in zip(('events', 'things', 'people'), SHOP)
    )
    corpus = Tables(interactions, catalogue, people, relabel_seed=None, **SETTINGS).build()
    assert corpus.name == 'tables/shop'
    assert corpus.users.user_id == ['b', 'a']
    assert corpus.users.profile == ['', 'city: Rome']
    assert corpus.items.item_id == ['2', '1', '3']
    assert corpus.items.title == ['Lamp', 'Red "pen", fine', '']
    assert corpus.items.categories == [(), ('Desk', 'Pens'), ()]
    assert corpus.items.description == ['', 'colour: red', '']
    np.testing.assert_array_equal(corpus.items.price, np.float32([np.nan, 1.25, np.nan]))
    assert corpus.events.user.tolist() == [0, 0, 1, 1, 1]
    assert corpus.events.item.tolist() == [0, 1, 0, 1, 2]
    assert corpus.events.timestamp.tolist() == [30, 40, 10, 20, 20]
    np.testing.assert_array_equal(corpus.events.rating, np.float32([4.5, 1, 3, np.nan, 2]))
    assert corpus.provenance['items_not_listed'] == 1


def test_a_folder_of_atomic_files_brings_its_items_and_users(tmp_path):
    for suffix, table in zip(('inter', 'item', 'user'), SHOP):
        (tmp_path / f'shop.{suffix}').write_bytes(FORMS['recbole'](table))
    source = Tables(str(tmp_path), **SETTINGS)
    assert set(source.input_files()) == {'interactions/shop.inter', 'items/shop.item', 'users/shop.user'}
    assert source.build().fingerprint() == corpus_of(tmp_path / 'csv', SHOP, 'csv').fingerprint()
