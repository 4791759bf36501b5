"""How GroupLens writes the variants of MovieLens, and what it tells of its users, in words."""

import csv
from collections.abc import Callable
from typing import NamedTuple

from llmrec_jax.corpora.raw_files import Archive, bad_line

_AGES_1M = {
    '1': 'under 18',
    '18': '18 to 24',
    '25': '25 to 34',
    '35': '35 to 44',
    '45': '45 to 49',
    '50': '50 to 55',
    '56': '56 or older',
}
_OCCUPATIONS_1M = (
    '', 'academic or educator', 'artist', 'clerical or administrative worker', 'college or graduate student',
    'customer service worker', 'doctor or health care worker', 'executive or manager', 'farmer', 'homemaker',
    'K-12 student', 'lawyer', 'programmer', 'retired', 'sales or marketing worker', 'scientist',
    'self-employed',
    'technician or engineer', 'tradesman or craftsman', 'unemployed', 'writer',
)  # fmt: skip
_GENDERS = {'F': 'woman', 'M': 'man'}
# Of the occupations of 100k, those that say nothing.
_NO_OCCUPATION = ('other', 'none')


def profiles_100k(archive: Archive, member: str) -> dict[str, str]:
    """User id -> e.g. 'a woman, 24 years old, technician', from 'user|age|gender|occupation|zip code'.

    Raises:
      ValueError: naming file and line, when a line is malformed.
    """
    profiles = {}
    for number, line in archive.lines(member, 'latin-1'):
        fields = line.split('|')
        if len(fields) != 5 or not fields[1].isdigit() or fields[2] not in _GENDERS:
            bad_line(archive.path_of(member), number, repr(line), 'user|age|F or M|occupation|zip code')
        user, age, gender, occupation, _ = fields
        work = '' if occupation in _NO_OCCUPATION else occupation
        profiles[user] = _profile(gender, f'{age} years old', work)
    return profiles


def profiles_1m(archive: Archive, member: str) -> dict[str, str]:
    """User id -> e.g. 'a man, 25 to 34 years old, scientist', from 'user::gender::age::occupation::zip code'.

    Raises:
      ValueError: naming file and line, when a line is malformed.
    """
    profiles = {}
    for number, line in archive.lines(member, 'latin-1'):
        fields = line.split('::')
        known = len(fields) == 5 and fields[1] in _GENDERS and fields[2] in _AGES_1M and fields[3].isdigit()
        if not known or int(fields[3]) >= len(_OCCUPATIONS_1M):
            bad_line(
                archive.path_of(member), number, repr(line), 'user::F or M::age group::occupation::zip code'
            )
        user, gender, age, occupation, _ = fields
        profiles[user] = _profile(gender, f'{_AGES_1M[age]} years old', _OCCUPATIONS_1M[int(occupation)])
    return profiles


def _profile(gender: str, age: str, occupation: str) -> str:
    return ', '.join(part for part in (f'a {_GENDERS[gender]}', age, occupation) if part)


# The order of the 19 flags in u.item.
_GENRES_100K = (
    'unknown', 'Action', 'Adventure', 'Animation', "Children's", 'Comedy', 'Crime', 'Documentary', 'Drama',
    'Fantasy', 'Film-Noir', 'Horror', 'Musical', 'Mystery', 'Romance', 'Sci-Fi', 'Thriller', 'War', 'Western',
)  # fmt: skip
_NO_GENRE = '(no genres listed)'


class Format(NamedTuple):
    """How one variant is written.

    Attributes:
      directory: the archive's name, and that of the directory in it.
      ratings: the file of ratings.
      movies: the file of movies.
      users: the file of users, where there is one.
      encoding: of all files.
      header: whether ratings and movies begin with a line of names.
      split_rating: a line of ratings -> user, movie, stars, seconds since 1970.
      rating_fields: what a line of ratings holds, for messages.
      split_movie: a line of movies -> movie, title and what `genres` reads.
      movie_fields: what a line of movies holds, for messages.
      movie_field_count: how many fields that is.
      genres: the fields of a movie -> its genres.
      profiles: archive and file of users -> user -> what is known of the user, in words.
    """

    directory: str
    ratings: str
    movies: str
    users: str | None
    encoding: str
    header: bool
    split_rating: Callable[[str], list[str]]
    rating_fields: str
    split_movie: Callable[[str], list[str]]
    movie_fields: str
    movie_field_count: int
    genres: Callable[[list[str]], tuple[str, ...]]
    profiles: Callable[[Archive, str], dict[str, str]] | None


def _csv_fields(line: str) -> list[str]:
    return next(csv.reader([line], strict=True))


def _listed_genres(fields: list[str]) -> tuple[str, ...]:
    return tuple(genre for genre in fields[2].split('|') if genre != _NO_GENRE)


def _flagged_genres(fields: list[str]) -> tuple[str, ...]:
    return tuple(genre for genre, flag in zip(_GENRES_100K, fields[5:]) if flag == '1' and genre != 'unknown')


FORMATS = {
    '100k': Format(
        directory='ml-100k',
        ratings='u.data',
        movies='u.item',
        users='u.user',
        encoding='latin-1',
        split_rating=lambda line: line.split('\t'),
        split_movie=lambda line: line.split('|'),
        rating_fields='user, movie, rating, seconds, parted by tabs',
        movie_fields='movie|title|release date|video release date|URL|19 genre flags',
        movie_field_count=24,
        header=False,
        genres=_flagged_genres,
        profiles=profiles_100k,
    ),
    '1m': Format(
        directory='ml-1m',
        ratings='ratings.dat',
        movies='movies.dat',
        users='users.dat',
        encoding='latin-1',
        split_rating=lambda line: line.split('::'),
        split_movie=lambda line: line.split('::'),
        rating_fields='user::movie::rating::seconds',
        movie_fields='movie::title::genre|genre|...',
        movie_field_count=3,
        header=False,
        genres=_listed_genres,
        profiles=profiles_1m,
    ),
    'latest-small': Format(
        directory='ml-latest-small',
        ratings='ratings.csv',
        movies='movies.csv',
        users=None,
        encoding='utf-8',
        split_rating=lambda line: line.split(','),
        split_movie=_csv_fields,
        rating_fields='userId,movieId,rating,timestamp',
        movie_fields='movieId,title,genre|genre|...',
        movie_field_count=3,
        header=True,
        genres=_listed_genres,
        profiles=None,
    ),
}
