import pytest

from llmrec_jax.corpora.yelp import Yelp
from tests.corpora.published_forms import READ_HTML, YELP, histories, write, yelp_review

REVIEWS = 'yelp_academic_dataset_review.json'


def source(directory, **options) -> Yelp:
    return Yelp(directory, **{'k_core': 1, 'relabel_seed': None, **options})


@pytest.mark.parametrize('dirty', [False, True])
def test_reviews_places_and_users_become_a_corpus(tmp_path, dirty):
    corpus = source(write(tmp_path / 'raw', YELP, dirty)).build()
    assert corpus.name == 'yelp/reviews'
    assert corpus.users.user_id == ['ann', 'bob']
    assert corpus.users.profile == ['Ann, on Yelp since 2007', '']
    assert [corpus.items.item_id[item] for item in corpus.events.item] == ['p2', 'p1', 'p2']
    assert corpus.events.timestamp.tolist() == [1325604498, 1531001351, 1325548800]
    assert corpus.events.rating.tolist() == [4, 4, 4]
    assert corpus.events.review[1] == READ_HTML
    assert corpus.items.title == [READ_HTML, 'The Café']
    expected = ('Doctors', 'Traditional Chinese Medicine', 'Naturopathic/Holistic')
    assert corpus.items.categories == [expected, ()]
    assert corpus.items.description == ['Santa Barbara, CA', 'Affton, MO']


def test_users_may_be_absent(tmp_path):
    files = {name: records for name, records in YELP.items() if 'user' not in name}
    directory = write(tmp_path, files)
    with pytest.raises(FileNotFoundError, match=r"dataset_user.json .*Yelp.users='absent'"):
        source(directory).build()
    assert source(directory, users='absent').build().users.profile == ['', '']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'date': 'yesterday'}, "line 4: field 'date' is 'yesterday'"),
        ({'date': None}, "line 4: field 'date' is None"),
        ({'stars': '5'}, "line 4: field 'stars' is '5'"),
        ({'business_id': 3}, "line 4: field 'business_id' is 3"),
    ],
)
def test_bad_reviews_are_named(tmp_path, change, message):
    reviews = [*YELP[REVIEWS], {**yelp_review('cat', 'p1', '2018-07-07 22:09:11'), **change}]
    with pytest.raises(ValueError, match=f'{REVIEWS}, {message}; expected a review'):
        source(write(tmp_path, {**YELP, REVIEWS: reviews})).build()


def test_a_place_of_which_nothing_is_told_can_be_dropped(tmp_path):
    files = {**YELP, REVIEWS: [*YELP[REVIEWS], yelp_review('bob', 'p9', '2019-07-07 22:09:11')]}
    directory = write(tmp_path, files)
    assert histories(source(directory))['bob'] == ['p2', 'p9']
    assert histories(source(directory, items_without_text='dropped'))['bob'] == ['p2']
