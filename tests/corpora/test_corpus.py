import dataclasses
import hashlib
import json

import numpy as np
import pytest

from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users
from llmrec_jax.corpora.text_column import TextColumn


def small_corpus(**changes) -> Corpus:
    items = Items(['a', 'b'], ['A', 'B'], ['', ''], [('x',), ()], ['', ''], np.asarray([1.0, np.nan]))
    users = Users(['u', 'v'], ['', 'likes A'])
    events = events_of([0, 0, 1], [0, 1, 1], [3, 3, 1])
    return dataclasses.replace(Corpus('test/small', items, users, events, {'seed': 1}), **changes)


def events_of(user: list[int], item: list[int], timestamp: list[int]) -> Events:
    count = len(user)
    return Events(
        np.asarray(user, np.int32),
        np.asarray(item, np.int32),
        np.asarray(timestamp, np.int32),
        np.full(count, 5.0),
        ['s'] * count,
        ['r'] * count,
    )


def test_offsets_frame_each_users_events():
    corpus = small_corpus(users=Users(['u', 'v', 'w'], ['', '', '']))
    assert corpus.user_offsets.tolist() == [0, 2, 3, 3]


def test_columns_have_one_dtype_whatever_was_given():
    corpus = small_corpus()
    assert {corpus.events.user.dtype, corpus.events.item.dtype, corpus.events.timestamp.dtype} == {
        np.dtype(np.int64)
    }
    assert {corpus.events.rating.dtype, corpus.items.price.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ('table', 'column', 'value'),
    [
        ('items', 'title', ['A', 'C']),
        ('items', 'categories', [('x',), ('x',)]),
        ('items', 'price', np.asarray([1.0, 2.0])),
        ('users', 'profile', ['', '']),
        ('events', 'item', np.asarray([0, 0, 1])),
        ('events', 'timestamp', np.asarray([3, 4, 1])),
        ('events', 'review', ['r', 'r', 'R']),
    ],
)
def test_the_fingerprint_covers_every_column(table, column, value):
    corpus = small_corpus()
    changed = dataclasses.replace(getattr(corpus, table), **{column: value})
    assert small_corpus(**{table: changed}).fingerprint() != corpus.fingerprint()
    assert small_corpus().fingerprint() == corpus.fingerprint()


@pytest.mark.parametrize(
    ('events', 'message'),
    [
        (events_of([1, 0], [0, 0], [0, 0]), 'must be sorted by user'),
        (events_of([0, 0], [0, 0], [2, 1]), 'event 1 is older than the one before it'),
        (events_of([0, 0], [0, 2], [0, 1]), "'item' of the events refers to row 2, but the table has 2 rows"),
        (events_of([0, 0], [-1, 1], [0, 1]), "'item' of the events refers to row -1"),
        (events_of([0, 2], [0, 1], [0, 1]), "'user' of the events refers to row 2"),
    ],
)
def test_events_that_contradict_the_tables_are_refused(events, message):
    with pytest.raises(ValueError, match=message):
        small_corpus(events=events)


def test_provenance_must_be_json():
    with pytest.raises(ValueError, match="corpus 'test/small': the provenance is not JSON"):
        small_corpus(provenance={'seed': {1, 2}})
    assert small_corpus(provenance={'levels': (1, 2)}).provenance == {'levels': [1, 2]}


@pytest.mark.parametrize('kept', [0, 1, 2, 4, 5])
def test_the_fingerprint_is_that_of_whole_columns_however_they_are_held(kept, monkeypatch):
    monkeypatch.setattr('llmrec_jax.corpora.corpus.CHUNK', 2)
    rows = 5
    events = Events(
        np.zeros(rows, np.int64),
        np.asarray([0, 1, 0, 1, 1]),
        np.arange(rows),
        np.full(rows, 4.5, np.float32),
        TextColumn.constant('', rows),
        TextColumn.from_codes(['good', 'bäd "quoted"'], np.asarray([0, 1, 1, 0, 1])),
    )
    corpus = small_corpus(users=Users(['u'], ['']), events=events.take(np.arange(kept)))
    digest = hashlib.sha256(b'test/small')
    for table in (corpus.items, corpus.users, corpus.events):
        for field in dataclasses.fields(table):
            column = getattr(table, field.name)
            digest.update(field.name.encode())
            digest.update(
                column.tobytes() if isinstance(column, np.ndarray) else json.dumps(list(column)).encode()
            )
    assert corpus.fingerprint() == digest.hexdigest()


def test_what_a_corpus_holds_cannot_be_changed_below_its_fingerprint():
    price = np.asarray([1.0, np.nan], np.float32)
    corpus = small_corpus(items=dataclasses.replace(small_corpus().items, price=price))
    with pytest.raises(ValueError, match='read-only'):
        corpus.items.price[0] = 2.0
    price[1] = 3.0


def test_what_is_no_text_is_named_by_table_column_and_row():
    with pytest.raises(ValueError, match='Users.profile: row 1 '):
        Users(['u', 'v'], ['', '\ud800'])
