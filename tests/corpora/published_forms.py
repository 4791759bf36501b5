"""Files in the forms in which corpora are published, small, and with what people do to files."""

import gzip
import json
import pathlib
from typing import Any

from llmrec_jax.corpora.raw_source import RawSource

_HTML = 'Tom &amp; Jerry&#39;s <b>"best"</b>'
READ_HTML = 'Tom & Jerry\'s "best"'
AMAZON_2023_HEADER = 'user_id,parent_asin,rating,timestamp'


def amazon_2023_review(user: str, item: str, milliseconds: int, **more: Any) -> dict:
    """One line of `<Category>.jsonl`."""
    return {
        'rating': 5.0, 'title': 'Fine', 'text': f'{user} on {item}', 'images': [], 'asin': f'{item}-red',
        'parent_asin': item, 'user_id': user, 'timestamp': milliseconds, 'helpful_vote': 0,
        'verified_purchase': True, **more,
    }  # fmt: skip


def yelp_review(user: str, place: str, date: str, **more: Any) -> dict:
    """One line of Yelp's reviews."""
    return {
        'review_id': f'{user}{place}', 'user_id': user, 'business_id': place, 'stars': 4.0, 'useful': 0,
        'funny': 0, 'cool': 0, 'text': 'Good.', 'date': date, **more,
    }  # fmt: skip


def steam_review(user: str, game: str, date: str, **more: Any) -> dict:
    """One line of Steam's reviews."""
    return {
        'username': user, 'hours': 1.5, 'products': 41, 'product_id': game, 'page_order': 0, 'date': date,
        'text': 'Fun.', 'early_access': False, 'page': 1, **more,
    }  # fmt: skip


def goodreads_interaction(user: str, book: str, date: str, **more: Any) -> dict:
    """One line of Goodreads' interactions."""
    return {
        'user_id': user, 'book_id': book, 'review_id': 'r', 'is_read': True, 'rating': 4, 'read_at': '',
        'review_text_incomplete': '', 'date_added': date, 'date_updated': date, 'started_at': '', **more,
    }  # fmt: skip


AMAZON_2023 = {
    'All_Beauty.jsonl.gz': [
        amazon_2023_review('ann', 'B1', 1588687728923, text=_HTML),
        amazon_2023_review('ann', 'B2', 1588687728100, rating=2.0),
        amazon_2023_review('bob', 'B2', 1588687000000, title=None),
        amazon_2023_review('bob', 'B1', 1588686999999),
    ],
    'meta_All_Beauty.jsonl.gz': [
        {
            'main_category': 'All Beauty', 'title': _HTML, 'average_rating': 4.8, 'rating_number': 10,
            'features': [], 'description': ['One &lt;two&gt;', 'three'], 'price': 25.5, 'images': [],
            'videos': [], 'store': 'Visit the OPI Store', 'categories': [], 'details': {'Brand': 'OPI'},
            'parent_asin': 'B1', 'bought_together': None,
        },
        {
            'main_category': None, 'title': 'Comb', 'price': '—', 'store': None, 'description': [],
            'categories': ['Beauty', 'Hair &amp; Co'], 'parent_asin': 'B2',
        },
        {'title': 'Not bought', 'parent_asin': 'B3'},
    ],
}  # fmt: skip
YELP = {
    'yelp_academic_dataset_review.json': [
        yelp_review('ann', 'p1', '2018-07-07 22:09:11', text=_HTML),
        yelp_review('ann', 'p2', '2012-01-03 15:28:18'),
        yelp_review('bob', 'p2', '2012-01-03'),
    ],
    'yelp_academic_dataset_business.json': [
        {
            'business_id': 'p1', 'name': _HTML, 'address': '', 'city': 'Santa Barbara', 'state': 'CA',
            'stars': 5.0, 'review_count': 7, 'is_open': 0, 'attributes': None, 'hours': None,
            'categories': 'Doctors, Traditional Chinese Medicine, Naturopathic/Holistic',
        },
        {'business_id': 'p2', 'name': 'The Café', 'city': 'Affton', 'state': 'MO', 'categories': None},
        {'business_id': 'p3', 'name': 'Not visited', 'city': '', 'state': '', 'categories': None},
    ],
    'yelp_academic_dataset_user.json': [
        {'user_id': 'ann', 'name': 'Ann', 'yelping_since': '2007-01-25 16:47:26', 'average_stars': 3.9},
        {'user_id': 'bob', 'name': None, 'yelping_since': None, 'average_stars': 3.9},
        {'user_id': 'cat', 'name': 'Cat', 'yelping_since': '2009-01-25 16:47:26', 'average_stars': 3.9},
    ],
}  # fmt: skip
STEAM = {
    'steam_reviews.json.gz': [
        steam_review('Chaos Syren', '725280', '2017-12-17', text=_HTML),
        steam_review('Chaos Syren', '10', '2017-12-16'),
        steam_review('it\'s "me"', '10', '2017-02-28'),
    ],
    'steam_games.json.gz': [
        {
            'publisher': 'Kotoshiro', 'genres': ['Action', 'Indie'], 'app_name': _HTML, 'title': 'Other',
            'url': 'http://store', 'tags': ['Strategy', 'Cute'], 'discount_price': 4.49, 'price': 4.99,
            'early_access': False, 'id': '725280', 'developer': 'Koto &amp; Co',
        },
        {'app_name': 'Counter', 'price': 'Free To Play', 'id': '10', 'publisher': 'Valve'},
        {'app_name': 'A bundle', 'price': 'Free'},
    ],
}  # fmt: skip
GOODREADS = {
    'goodreads_interactions_poetry.json.gz': [
        goodreads_interaction('u1', '402128', 'Fri Apr 19 08:15:15 -0700 2013'),
        goodreads_interaction('u1', '7', 'Fri Apr 19 08:15:15 +0000 2013', rating=0),
        goodreads_interaction(
            'u2', '7', 'Thu Jan 01 00:00:00 +0000 1970', is_read=False, rating=0, review_text_incomplete=_HTML
        ),
    ],
    'goodreads_books_poetry.json.gz': [
        {
            'isbn': '0151686564', 'popular_shelves': [
                {'count': '15419', 'name': 'to-read'}, {'count': '1762', 'name': 'poetry'},
                {'count': '302', 'name': 'classics'}, {'count': '187', 'name': 'favorites'},
                {'count': '149', 'name': 'fiction'}, {'count': '136', 'name': 'cats'},
            ],
            'authors': [{'author_id': '18540', 'role': ''}, {'author_id': '1', 'role': 'Illustrator'}],
            'description': 'Cats.<br /><br />Cats &amp; more.', 'book_id': '402128', 'title': _HTML,
        },
        {'book_id': '7', 'title': 'Odes', 'description': '', 'popular_shelves': [], 'authors': []},
    ],
    'goodreads_book_authors.json.gz': [
        {'average_rating': '3.92', 'author_id': '18540', 'name': 'T.S. Eliot', 'ratings_count': '1'},
        {'author_id': '1', 'name': 'Edward Gorey'},
    ],
}  # fmt: skip


def lines_of(name: str, records: list[dict]) -> list[str]:
    """The lines of a file: JSON, or for Steam the literals of Python 2."""
    if name.startswith('steam'):
        return [repr(record).replace(": '", ": u'") for record in records]
    return [json.dumps(record) for record in records]


def write_lines(path: pathlib.Path, lines: list[str], dirty: bool = False) -> None:
    """Writes a file, gzipped where its name says so; `dirty` as editors and scripts leave it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = '\n'.join([*lines, ''])
    if dirty:
        text = '\ufeff' + '\r\n\r\n'.join(['', *lines, '  ', '']).lstrip('\r\n')
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == '.gz' else content)


def write(directory: pathlib.Path, files: dict[str, list[dict]], dirty: bool = False) -> str:
    """Writes the files of a publisher; `dirty` also tells of every item and user twice."""
    for place, (name, records) in enumerate(files.items()):
        lines = lines_of(name, records)
        write_lines(directory / name, lines * 2 if dirty and place else lines, dirty)
    return str(directory)


def histories(source: RawSource) -> dict[str, list[str]]:
    """User -> items, oldest first."""
    corpus = source.build()
    bounds = corpus.user_offsets
    return {
        user: [corpus.items.item_id[item] for item in corpus.events.item[bounds[row] : bounds[row + 1]]]
        for row, user in enumerate(corpus.users.user_id)
    }
