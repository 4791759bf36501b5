import numpy as np
import pytest

from llmrec_jax.corpora.steam import Steam
from tests.corpora.published_forms import READ_HTML, STEAM, lines_of, steam_review, write

REVIEWS = 'steam_reviews.json.gz'


def source(directory, **options) -> Steam:
    return Steam(directory, **{'k_core': 1, 'relabel_seed': None, **options})


def test_the_lines_are_python_literals_and_no_json():
    (line, *_) = lines_of(REVIEWS, STEAM[REVIEWS])
    assert line.startswith("{'username': u'Chaos Syren'")


@pytest.mark.parametrize('dirty', [False, True])
def test_reviews_and_games_become_a_corpus(tmp_path, dirty):
    corpus = source(write(tmp_path / 'raw', STEAM, dirty)).build()
    assert corpus.name == 'steam/reviews'
    assert corpus.users.user_id == ['Chaos Syren', 'it\'s "me"']
    assert [corpus.items.item_id[item] for item in corpus.events.item] == ['10', '725280', '10']
    assert corpus.events.timestamp.tolist() == [1513382400, 1513468800, 1488240000]
    assert np.isnan(corpus.events.rating).all()
    assert corpus.events.review[1] == READ_HTML
    assert corpus.items.title == [READ_HTML, 'Counter']
    assert corpus.items.brand == ['Koto & Co', 'Valve']
    assert corpus.items.categories == [('Action', 'Indie'), ()]
    assert corpus.items.description == ['Strategy, Cute', '']
    np.testing.assert_array_equal(corpus.items.price, np.asarray([4.99, 0], np.float32))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'date': '2017-13-01'}, "line 4: field 'date' is '2017-13-01'"),
        ({'product_id': 10}, "line 4: field 'product_id' is 10"),
        ({'username': None}, "line 4: field 'username' is None"),
    ],
)
def test_bad_reviews_are_named(tmp_path, change, message):
    reviews = [*STEAM[REVIEWS], {**steam_review('x', '10', '2017-12-17'), **change}]
    with pytest.raises(ValueError, match=f'{REVIEWS}, {message}; expected a review'):
        source(write(tmp_path, {**STEAM, REVIEWS: reviews})).build()


def test_games_may_be_absent(tmp_path):
    directory = write(tmp_path, {REVIEWS: STEAM[REVIEWS]})
    with pytest.raises(FileNotFoundError, match=r"steam_games.json.gz .*Steam.metadata='absent'"):
        source(directory).build()
    assert source(directory, metadata='absent').build().items.title == ['', '']
    assert list(Steam().urls()) == ['steam_reviews.json.gz', 'steam_games.json.gz']
