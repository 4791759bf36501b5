import numpy as np
import pytest

from llmrec_jax.corpora.amazon_reviews_2023 import AmazonReviews2023
from tests.corpora.published_forms import (
    AMAZON_2023,
    AMAZON_2023_HEADER,
    READ_HTML,
    amazon_2023_review,
    histories,
    write,
    write_lines,
)

PARTS = {
    'train': ['ann,B1,5.0,1000500', 'bob,B2,4.0,1000000'],
    'valid': ['ann,B2,3.0,2000000'],
    'test': ['bob,B1,1.0,3000999'],
}


def source(directory, **options) -> AmazonReviews2023:
    return AmazonReviews2023(manual_dir=directory, **{'k_core': 1, 'relabel_seed': None, **options})


def write_parts(directory, parts=PARTS, more=''):
    for part, rows in parts.items():
        write_lines(directory / f'All_Beauty.{part}.csv.gz', [f'{AMAZON_2023_HEADER}{more}', *rows])
    return str(directory)


@pytest.mark.parametrize('dirty', [False, True])
def test_reviews_become_a_corpus(tmp_path, dirty):
    corpus = source(write(tmp_path / 'raw', AMAZON_2023, dirty)).build()
    assert corpus.name == 'amazon_reviews_2023/all_beauty'
    assert corpus.users.user_id == ['bob', 'ann']
    # Of one second are ann's two reviews, which the milliseconds put in order.
    assert [corpus.items.item_id[item] for item in corpus.events.item] == ['B1', 'B2', 'B2', 'B1']
    assert corpus.events.timestamp.tolist() == [1588686999, 1588687000, 1588687728, 1588687728]
    assert corpus.events.rating.tolist() == [5, 5, 2, 5]
    assert corpus.events.review[3] == READ_HTML
    assert corpus.events.summary == ['Fine', '', 'Fine', 'Fine']
    assert corpus.items.title == [READ_HTML, 'Comb']
    assert corpus.items.brand == ['OPI', '']
    assert corpus.items.categories == [('All Beauty',), ('Beauty', 'Hair & Co')]
    assert corpus.items.description == ['One <two>\nthree', '']
    np.testing.assert_array_equal(corpus.items.price, np.asarray([25.5, np.nan], np.float32))


def test_reviews_of_one_second_keep_the_order_of_their_milliseconds(tmp_path):
    # In the file they go up in ids, and in time they do not.
    reviews = [amazon_2023_review('ann', f'B{n}', 1_000_000 + (7 * n) % 10) for n in range(10)]
    directory = write(tmp_path / 'raw', {'All_Beauty.jsonl': reviews})
    made = source(directory, metadata='absent')
    assert histories(made) == {'ann': [f'B{n}' for n in sorted(range(10), key=lambda n: (7 * n) % 10)]}
    assert not made.build().provenance['ties_listed_by_id']


@pytest.mark.parametrize('form', ['timestamp', 'last_out'])
def test_the_published_parts_are_read_as_one(tmp_path, form):
    directory = write_parts(
        tmp_path / 'raw',
        {part: [f'{row},B9 B8' for row in rows] for part, rows in PARTS.items()},
        more=',history',
    )
    made = source(directory, form=form, metadata='absent')
    assert made.name == f'amazon_reviews_2023/all_beauty_{form}'
    assert histories(made) == {'bob': ['B2', 'B1'], 'ann': ['B1', 'B2']}
    corpus = made.build()
    assert corpus.events.timestamp.tolist() == [1000, 3000, 1000, 2000]
    assert corpus.provenance['published_parts'] == {
        'train': {'events': 2, 'first': 1000, 'last': 1000},
        'valid': {'events': 1, 'first': 2000, 'last': 2000},
        'test': {'events': 1, 'first': 3000, 'last': 3000},
    }


def test_ratings_alone_are_read_plain_or_packed_with_quotes(tmp_path):
    rows = [AMAZON_2023_HEADER, *PARTS['train'], '"ann","B2","3.0","2000000"']
    for name in ('All_Beauty.csv', 'All_Beauty.csv.gz'):
        directory = tmp_path / name
        write_lines(directory / name, rows, dirty=True)
        made = source(str(directory), form='rating_only', metadata='absent')
        assert histories(made) == {'bob': ['B2'], 'ann': ['B1', 'B2']}


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        (PARTS['train'], r"csv.gz, line 1: 'ann,B1,5.0,1000500'; expected a header"),
        ([AMAZON_2023_HEADER, 'ann,B1,5.0'], 'csv.gz, line 2: 3 fields'),
        ([AMAZON_2023_HEADER, 'ann,B1,five,3'], 'csv.gz, line 2'),
        ([AMAZON_2023_HEADER, 'ann,B1,nan,3'], 'csv.gz, line 2'),
        ([AMAZON_2023_HEADER, f'ann,B1,5,{10**20}'], 'csv.gz, line 2'),
        ([AMAZON_2023_HEADER, ',B1,5,3'], 'csv.gz, line 2: a user or a product without id'),
        ([AMAZON_2023_HEADER, 'ann,B1,5,3', 'ann,B1,4,3'], r"csv.gz, line 3: user 'ann', item 'B1'.* line 2"),
        ([AMAZON_2023_HEADER, '"ann,B1'], 'csv.gz, line 2: not CSV'),
    ],
)
def test_bad_rows_are_named(tmp_path, rows, message):
    write_lines(tmp_path / 'All_Beauty.csv.gz', rows)
    with pytest.raises(ValueError, match=message):
        source(str(tmp_path), form='rating_only', metadata='absent').build()


def test_an_event_of_two_parts_is_an_error_or_dropped(tmp_path):
    directory = write_parts(tmp_path, {**PARTS, 'test': ['bob,B2,1.0,1000000']})
    with pytest.raises(ValueError, match=r'All_Beauty.\*.csv, line 2: user .bob'):
        source(directory, form='timestamp', metadata='absent').build()
    kept = source(directory, form='timestamp', metadata='absent', duplicates='keep_first').build()
    assert kept.provenance['duplicates'] == 1


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'parent_asin': None}, "line 5: field 'parent_asin' is None"),
        ({'user_id': ' '}, "line 5: field 'user_id' is ' '"),
        ({'timestamp': '3'}, "line 5: field 'timestamp' is '3'"),
        ({'rating': True}, "line 5: field 'rating' is True"),
    ],
)
def test_bad_reviews_are_named(tmp_path, change, message):
    name = 'All_Beauty.jsonl.gz'
    reviews = [*AMAZON_2023[name], amazon_2023_review('cat', 'B1', 5, **change)]
    directory = write(tmp_path, {**AMAZON_2023, name: reviews})
    with pytest.raises(ValueError, match=f'{name}, {message}; expected a review'):
        source(directory).build()


def test_published_urls_and_missing_files():
    root = 'https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023'
    assert AmazonReviews2023('Books').urls() == {
        'Books.jsonl.gz': f'{root}/raw/review_categories/Books.jsonl.gz',
        'meta_Books.jsonl.gz': f'{root}/raw/meta_categories/meta_Books.jsonl.gz',
    }
    parts = AmazonReviews2023('Books', form='timestamp', metadata='absent').urls()
    assert parts == {
        f'Books.{part}.csv.gz': f'{root}/benchmark/5core/timestamp/Books.{part}.csv.gz'
        for part in ('train', 'valid', 'test')
    }
    with pytest.raises(FileNotFoundError, match='set AmazonReviews2023.manual_dir'):
        AmazonReviews2023('Books').build()
    with pytest.raises(ValueError, match="AmazonReviews2023.form is 'raw'; expected one of 'reviews'"):
        AmazonReviews2023('Books', form='raw')


def test_missing_files_are_named_with_the_way_to_mend_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'All_Beauty.jsonl.gz or All_Beauty.jsonl; .*manual_dir'):
        source(str(tmp_path)).build()
    write(tmp_path, {'All_Beauty.jsonl.gz': AMAZON_2023['All_Beauty.jsonl.gz']})
    with pytest.raises(FileNotFoundError, match=r"meta_All_Beauty.jsonl.gz or .*metadata='absent'"):
        source(str(tmp_path)).build()
