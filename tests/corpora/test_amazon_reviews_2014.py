import gzip
import json

import numpy as np
import pytest

from llmrec_jax.corpora.amazon_reviews_2014 import AmazonReviews2014, AmazonReviews2018
from tests.shared_data import shared_data

DAY = 86_400


def review(user: str, item: str, day: int, stars: float = 5.0, **more) -> dict:
    record = {'reviewerID': user, 'asin': item, 'overall': stars, 'unixReviewTime': day * DAY}
    return {
        **record,
        'summary': f'{item} is fine',
        'reviewText': f'{user} on {item}',
        'helpful': [0, 1],
        **more,
    }


# Published files are grouped by product, so a user's reviews are neither together nor in the order of time.
REVIEWS = [
    review('ann', 'A2', 1),
    review('bob', 'A2', 1, summary=None),
    review('cat', 'A2', 1),
    review('ann', 'A3', 1, reviewText='I&#34;ll buy'),
    review('bob', 'A3', 2),
    review('ann', 'A1', 3),
    review('bob', 'A1', 1, 2.0),
]
# The metadata of 2014 are Python literals: single quotes, True, no null.
METADATA_2014 = [
    "{'asin': 'A0', 'title': 'Not reviewed'}",
    "{'asin': 'A1', 'title': \"It's a comb\", 'price': 3.5, 'brand': 'Kent', "
    "'categories': [['Beauty', 'Hair &amp; Co'], ['Tools']], 'imUrl': 'x', 'related': {'bought': ['A2']}}",
    "{'description': 'Red.', 'asin': 'A2', 'salesRank': {'Beauty': 1}, 'categories': [['Beauty']]}",
]


def write(directory, reviews=REVIEWS, metadata=METADATA_2014, category='Beauty'):
    directory.mkdir(exist_ok=True)
    lines = [line if isinstance(line, str) else json.dumps(line) for line in reviews]
    (directory / f'reviews_{category}_5.json.gz').write_bytes(gzip.compress('\n'.join(lines).encode()))
    if metadata is not None:
        (directory / f'meta_{category}.json.gz').write_bytes(gzip.compress('\n'.join(metadata).encode()))
    return str(directory)


def published_order(directory, **options):
    return AmazonReviews2014(manual_dir=directory, relabel_seed=None, **{'k_core': 1, **options}).build()


def histories(corpus) -> dict[str, list[str]]:
    offsets = corpus.user_offsets
    return {
        user: [corpus.items.item_id[item] for item in corpus.events.item[offsets[row] : offsets[row + 1]]]
        for row, user in enumerate(corpus.users.user_id)
    }


def test_reviews_and_the_python_literals_of_2014_become_a_corpus(tmp_path):
    corpus = published_order(write(tmp_path / 'raw'))
    assert corpus.name == 'amazon_reviews_2014/beauty'
    assert histories(corpus) == {'ann': ['A2', 'A3', 'A1'], 'bob': ['A2', 'A1', 'A3'], 'cat': ['A2']}
    assert corpus.events.timestamp[:3].tolist() == [DAY, DAY, 3 * DAY]
    assert corpus.events.rating[4] == 2.0
    assert corpus.events.summary[3] == ''
    assert corpus.events.review[1] == 'I"ll buy'
    assert corpus.items.item_id == ['A2', 'A3', 'A1']
    assert corpus.items.title == ['', '', "It's a comb"]
    assert corpus.items.brand == ['', '', 'Kent']
    assert corpus.items.categories == [('Beauty',), (), ('Beauty', 'Hair & Co')]
    assert corpus.items.description == ['Red.', '', '']
    np.testing.assert_array_equal(corpus.items.price, np.asarray([np.nan, np.nan, 3.5], np.float32))
    assert corpus.provenance['items_without_metadata'] == 1
    assert corpus.provenance['ties'] == 'file_order'


def test_the_form_of_2018_is_read_too(tmp_path):
    metadata = [
        json.dumps(
            {
                'asin': 'A1',
                'title': 'T',
                'category': ['Gift', 'Cards'],
                'description': ['a', 'b'],
                'price': '',
            }
        ),
        json.dumps({'asin': 'A2', 'price': '$1,025.00', 'category': [], 'description': []}),
        json.dumps({'asin': 'A3', 'price': '$1.00 - $5.00'}),
    ]
    directory = tmp_path / 'raw'
    write(directory, metadata=metadata)
    (directory / 'reviews_Beauty_5.json.gz').rename(directory / 'Beauty_5.json.gz')
    items = published_order(str(directory)).items
    assert items.categories == [(), (), ('Gift', 'Cards')]
    assert items.description == ['', '', 'a\nb']
    np.testing.assert_array_equal(items.price, np.asarray([1025, np.nan, np.nan], np.float32))


def test_ties_within_a_day_follow_the_stated_rule(tmp_path):
    reversed_file = list(reversed(REVIEWS))
    by_file = [write(tmp_path / 'a'), write(tmp_path / 'b', reversed_file)]
    assert histories(published_order(by_file[0]))['bob'] == ['A2', 'A1', 'A3']
    assert histories(published_order(by_file[1]))['bob'] == ['A1', 'A2', 'A3']
    for directory in by_file:
        assert histories(published_order(directory, ties='item_id'))['bob'] == ['A1', 'A2', 'A3']
    shuffled = {
        tuple(histories(published_order(by_file[0], ties='shuffled', tie_seed=seed))['bob'])
        for seed in range(8)
    }
    assert shuffled == {('A1', 'A2', 'A3'), ('A2', 'A1', 'A3')}


def test_reviews_that_are_listed_by_product_do_not_keep_that_order(tmp_path):
    # 30 people who review ten products on one day, in a file that goes by the products' ids.
    people = [f'user{number}' for number in range(30)]
    listed = [review(person, f'B{product}', 1) for product in range(10) for person in people]
    directory = write(tmp_path / 'raw', listed, metadata=None)
    shuffled = published_order(directory, metadata='absent')
    by_id = published_order(directory, metadata='absent', ties='item_id')
    assert all(items == sorted(items) for items in histories(by_id).values())
    assert len({tuple(items) for items in histories(shuffled).values()}) == 30
    assert shuffled.provenance['ties_listed_by_id']
    assert (shuffled.provenance['ties'], shuffled.provenance['tie_seed']) == ('shuffled', 0)
    assert shuffled.provenance['tied_events_share'] == 1.0
    other = published_order(directory, metadata='absent', tie_seed=1)
    assert histories(other) != histories(shuffled)


def test_the_metadata_of_2018_are_cleaned_and_what_was_removed_is_counted(tmp_path):
    metadata = [
        {'asin': 'A1', 'title': 'var aPageStart = (new Date()).getTime();', 'brand': '\n\n  by\n    Acme'},
        {
            'asin': 'A2',
            'title': '<span id="t">Steel &amp; glass</span>',
            'category': ['Home', '</span></span>', 'Package Dimensions:'],
            'price': '25.00',
        },
        {
            'asin': 'A3',
            'title': 'Kettle',
            'price': '.a-box{color:#fff}',
            'description': ['<b>Boils</b>', '<img>'],
        },
    ]
    directory = tmp_path / 'raw'
    write(directory, metadata=list(map(json.dumps, metadata)), category='Home')
    (directory / 'reviews_Home_5.json.gz').rename(directory / 'Home_5.json.gz')
    corpus = AmazonReviews2018('Home', str(directory), k_core=1, relabel_seed=None).build()
    assert corpus.name == 'amazon_reviews_2018/home'
    assert corpus.items.item_id == ['A2', 'A3', 'A1']
    assert corpus.items.title == ['Steel & glass', 'Kettle', '']
    assert corpus.items.brand == ['', '', 'Acme']
    assert corpus.items.categories == [('Home',), (), ()]
    assert corpus.items.description == ['', 'Boils', '']
    np.testing.assert_array_equal(corpus.items.price, np.asarray([25, np.nan, np.nan], np.float32))
    assert corpus.provenance['scraps_removed'] == 5
    assert corpus.provenance['scraps_by_field'] == {'categories': 2, 'description': 1, 'price': 1, 'title': 1}


def test_items_without_text_are_kept_dropped_or_named(tmp_path):
    # A2 has a category; A3 has nothing at all; nothing is told of A1.
    directory = write(tmp_path / 'raw', metadata=[METADATA_2014[2], "{'asin': 'A3', 'title': ' '}"])
    kept, named, dropped = (
        published_order(directory, items_without_text=rule) for rule in ('kept', 'named', 'dropped')
    )
    assert dict(zip(kept.items.item_id, kept.items.title)) == {'A1': '', 'A2': '', 'A3': ''}
    assert dict(zip(named.items.item_id, named.items.title)) == {'A1': 'Item A1', 'A2': '', 'A3': 'Item A3'}
    assert histories(named) == histories(kept)
    assert histories(dropped) == {'ann': ['A2'], 'bob': ['A2'], 'cat': ['A2']}
    assert [one.provenance['items_without_text'] for one in (kept, named, dropped)] == [2, 2, 2]
    assert dropped.provenance['events_of_items_without_text'] == 4
    assert dropped.provenance['users_of_items_without_text'] == 0
    other = published_order(directory, items_without_text='named', name_without_text='No. {item_id}')
    assert other.items.title[2] == 'No. A1'
    # What is dropped is dropped before the k-core: nobody has two events with text.
    with pytest.raises(ValueError, match='the 2-core of its'):
        published_order(directory, items_without_text='dropped', k_core=2)


def test_a_product_that_comes_again_is_one_product(tmp_path):
    again = [METADATA_2014[1], "{'asin': 'A1', 'title': '', 'description': 'For hair.'}"]
    corpus = published_order(write(tmp_path / 'raw', metadata=[*METADATA_2014, *again]))
    assert corpus.items.title[2] == "It's a comb"
    assert corpus.items.description[2] == 'For hair.'
    assert corpus.provenance['repeated_item_lines'] == 2
    other = "{'asin': 'A1', 'title': 'A brush'}"
    directory = write(tmp_path / 'raw', metadata=[*METADATA_2014, other])
    with pytest.raises(ValueError, match=r"meta_Beauty.json.gz, line 4: product 'A1' has title .* on line 2"):
        published_order(directory)
    assert published_order(directory, duplicates='keep_first').items.title[2] == "It's a comb"


def test_the_real_form_with_all_that_people_do_to_files(tmp_path):
    directory = tmp_path / 'raw'
    write(directory)
    for name in ('reviews_Beauty_5.json.gz', 'meta_Beauty.json.gz'):
        text = gzip.decompress((directory / name).read_bytes())
        dirty = b'\xef\xbb\xbf' + b'\r\n\r\n'.join(text.split(b'\n')) + b'\r\n  \r\n'
        (directory / name).write_bytes(gzip.compress(dirty))
    plain = published_order(write(tmp_path / 'plain'))
    assert published_order(str(directory)).fingerprint() == plain.fingerprint()


def test_the_k_core_drops_users_and_items_with_too_few_events(tmp_path):
    corpus = published_order(write(tmp_path / 'raw'), k_core=2)
    assert set(histories(corpus)) == {'ann', 'bob'}
    with pytest.raises(ValueError, match=r'the 5-core of its 7 events is empty; set a smaller k_core'):
        published_order(write(tmp_path / 'raw'), k_core=5)


def test_an_event_that_comes_again_is_an_error_or_dropped(tmp_path):
    # The same product on another day is another event; other text on the same day is not.
    reviews = [*REVIEWS, review('cat', 'A2', 1, reviewText='again'), review('cat', 'A2', 2)]
    directory = write(tmp_path / 'raw', reviews)
    with pytest.raises(
        ValueError, match=r"_5.json.gz, line 8: user 'cat', item 'A2', time 86400 is on line 3 already"
    ):
        published_order(directory)
    corpus = published_order(directory, duplicates='keep_first')
    assert histories(corpus)['cat'] == ['A2', 'A2']
    assert corpus.events.review[-2] == 'cat on A2'
    assert corpus.provenance['duplicates'] == 1


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('{"reviewerID": "x"', r'_5.json.gz, line 8: not JSON'),
        (
            {**REVIEWS[0], 'overall': None},
            r"_5.json.gz, line 8: field 'overall' is None; expected a review with",
        ),
        ({**REVIEWS[0], 'unixReviewTime': '3'}, r"_5.json.gz, line 8: field 'unixReviewTime' is '3'"),
        ({'asin': 'A1'}, r"_5.json.gz, line 8: field 'reviewerID' is None"),
    ],
)
def test_bad_reviews_are_named(tmp_path, line, message):
    with pytest.raises(ValueError, match=message):
        published_order(write(tmp_path / 'raw', [*REVIEWS, line]))


def test_bad_metadata_are_named(tmp_path):
    for line in ("{'asin': 'A3', 'title': ", 'nothing', "{'asin': 3}"):
        with pytest.raises(ValueError, match=r'meta_Beauty.json.gz, line 4: '):
            published_order(write(tmp_path / 'raw', metadata=[*METADATA_2014, line]))


def test_a_truncated_file_is_named(tmp_path):
    directory = write(tmp_path / 'raw')
    path = tmp_path / 'raw' / 'reviews_Beauty_5.json.gz'
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r'reviews_Beauty_5.json.gz, after line \d+: not a whole gzip file'):
        published_order(directory)


def test_missing_files_are_named_with_the_way_to_mend_it(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r'has no reviews_Toys_and_Games_5.json.gz or .*set AmazonReviews2014.manual_dir',
    ):
        AmazonReviews2014('toys', str(tmp_path)).build()
    with pytest.raises(FileNotFoundError, match='set AmazonReviews2014.manual_dir'):
        AmazonReviews2014('toys').build()
    directory = write(tmp_path / 'raw', metadata=None)
    with pytest.raises(
        FileNotFoundError, match=r"has no meta_Beauty.json.gz; .*or set AmazonReviews2014.metadata='absent'"
    ):
        published_order(directory)
    assert set(published_order(directory, metadata='absent').items.title) == {''}


@pytest.mark.parametrize('option', ['metadata', 'duplicates', 'ties', 'items_without_text'])
def test_unknown_options_are_refused(option):
    with pytest.raises(ValueError, match=rf"AmazonReviews2014.{option} is 'x'; expected one of"):
        AmazonReviews2014(**{option: 'x'})


@pytest.mark.slow
def test_musical_instruments_have_their_published_counts():
    directory = str(shared_data('amazon-musical-instruments'))
    corpus = AmazonReviews2014('Musical_Instruments', directory, metadata='absent').build()
    assert (len(corpus.users), len(corpus.items), len(corpus.events)) == (1_429, 900, 10_261)


def test_gift_cards_need_a_word_about_their_duplicates():
    directory = str(shared_data('amazon-gift-cards'))
    with pytest.raises(ValueError, match=r"Gift_Cards_5.json.gz, line 2006: .*duplicates='keep_first'"):
        AmazonReviews2014('Gift_Cards', directory).build()
    corpus = AmazonReviews2014('Gift_Cards', directory, duplicates='keep_first', k_core=1).build()
    assert (len(corpus.users), len(corpus.items), len(corpus.events)) == (458, 148, 2_972 - 3)
    assert corpus.provenance['items_without_metadata'] == 0
