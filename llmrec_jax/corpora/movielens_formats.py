"""How GroupLens writes the variants of MovieLens."""

import csv
from collections.abc import Callable
from typing import NamedTuple

from llmrec_jax.corpora.archives import Archive
from llmrec_jax.corpora.movielens_users import profiles_1m, profiles_100k

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
