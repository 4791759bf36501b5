import numpy as np
import pytest

from llmrec_jax.corpora.goodreads import Goodreads
from tests.corpora.published_forms import GOODREADS, READ_HTML, goodreads_interaction, histories, write

INTERACTIONS = 'goodreads_interactions_poetry.json.gz'


def source(directory, **options) -> Goodreads:
    return Goodreads(manual_dir=directory, **{'k_core': 1, 'relabel_seed': None, **options})


@pytest.mark.parametrize('dirty', [False, True])
def test_interactions_and_books_become_a_corpus(tmp_path, dirty):
    corpus = source(write(tmp_path / 'raw', GOODREADS, dirty)).build()
    assert corpus.name == 'goodreads/poetry'
    assert corpus.users.user_id == ['u1', 'u2']
    # 08:15:15 in UTC is before 08:15:15 seven hours west of it.
    assert [corpus.items.item_id[item] for item in corpus.events.item] == ['7', '402128', '7']
    assert corpus.events.timestamp.tolist() == [1366359315, 1366384515, 0]
    np.testing.assert_array_equal(corpus.events.rating, np.asarray([np.nan, 4, np.nan], np.float32))
    assert corpus.events.review == ['', '', READ_HTML]
    assert corpus.items.title == [READ_HTML, 'Odes']
    assert corpus.items.brand == ['T.S. Eliot, Edward Gorey', '']
    assert corpus.items.categories == [('poetry', 'classics', 'fiction'), ()]
    assert corpus.items.description == ['Cats. Cats & more.', '']


def test_events_are_what_was_shelved_read_or_rated(tmp_path):
    directory = write(tmp_path, GOODREADS)
    assert histories(source(directory)) == {'u1': ['7', '402128'], 'u2': ['7']}
    assert histories(source(directory, interactions='read')) == {'u1': ['7', '402128']}
    assert histories(source(directory, interactions='rated')) == {'u1': ['402128']}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'date_added': '2013-04-19'}, "line 4: field 'date_added' is '2013-04-19'"),
        ({'date_added': 'Fri Xyz 19 08:15:15 -0700 2013'}, "line 4: field 'date_added' is"),
        ({'date_added': 'Fri Feb 30 08:15:15 -0700 2013'}, "line 4: field 'date_added' is"),
        ({'rating': None}, "line 4: field 'rating' is None"),
        ({'book_id': ''}, "line 4: field 'book_id' is ''"),
    ],
)
def test_bad_interactions_are_named(tmp_path, change, message):
    line = {**goodreads_interaction('u3', '7', 'Fri Apr 19 08:15:15 -0700 2013'), **change}
    with pytest.raises(ValueError, match=f'{INTERACTIONS}, {message}'):
        source(write(tmp_path, {**GOODREADS, INTERACTIONS: [*GOODREADS[INTERACTIONS], line]})).build()


def test_authors_are_read_where_they_are_there(tmp_path):
    files = {name: records for name, records in GOODREADS.items() if 'authors' not in name}
    assert source(write(tmp_path, files)).build().items.brand == ['', '']
    with pytest.raises(FileNotFoundError, match=r'goodreads_books_romance.*|goodreads_interactions_romance'):
        source(str(tmp_path), genre='romance').build()
    assert list(Goodreads('romance').urls()) == [
        'goodreads_interactions_romance.json.gz',
        'goodreads_books_romance.json.gz',
        'goodreads_book_authors.json.gz',
    ]
