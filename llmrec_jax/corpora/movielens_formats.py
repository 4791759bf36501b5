"""How GroupLens writes the variants of MovieLens, and what it tells of its users, in words."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from llmrec_jax.corpora.listed_once import ListedOnce
from llmrec_jax.corpora.raw_files import UTF8_OR_LATIN1, Archive, bad_line, csv_rows, filled_lines

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
_PLACES_1M = {str(place) for place in range(len(_OCCUPATIONS_1M))}
_GENDERS = {'F': 'woman', 'M': 'man'}
# Of the occupations of 100k, those that say nothing.
_NO_OCCUPATION = ('other', 'none')


class _Told(NamedTuple):
    """What a file tells of one user."""

    profile: str


def profiles_100k(archive: Archive, member: str, mend: str, duplicates: str) -> dict[str, str]:
    """User id -> e.g. 'a woman, 24 years old, technician', from 'user|age|gender|occupation|zip code'.

    Args:
      archive: holds the file.
      member: the file of users.
      mend: what is expected where lines contradict each other, for messages.
      duplicates: 'keep_first' goes by the earlier one then; 'error' by neither.

    Raises:
      ValueError: naming file and line, when a line is malformed or contradicts another.
    """

    def user_of(line: str) -> tuple[str, str] | None:
        fields = line.split('|')
        if len(fields) != 5 or not fields[1].isdigit() or fields[2] not in _GENDERS:
            return None
        user, age, gender, occupation, _ = fields
        work = '' if occupation in _NO_OCCUPATION else occupation
        return user, _profile(gender, f'{age} years old', work)

    return _profiles(archive, member, user_of, 'user|age|F or M|occupation|zip code', mend, duplicates)


def profiles_1m(archive: Archive, member: str, mend: str, duplicates: str) -> dict[str, str]:
    """User id -> e.g. 'a man, 25 to 34 years old, scientist', from 'user::gender::age::occupation::zip code'.

    Args:
      archive: holds the file.
      member: the file of users.
      mend: what is expected where lines contradict each other, for messages.
      duplicates: 'keep_first' goes by the earlier one then; 'error' by neither.

    Raises:
      ValueError: naming file and line, when a line is malformed or contradicts another.
    """

    def user_of(line: str) -> tuple[str, str] | None:
        fields = line.split('::')
        known = len(fields) == 5 and fields[1] in _GENDERS and fields[2] in _AGES_1M
        if not known or fields[3] not in _PLACES_1M:
            return None
        user, gender, age, occupation, _ = fields
        return user, _profile(gender, f'{_AGES_1M[age]} years old', _OCCUPATIONS_1M[int(occupation)])

    expected = 'user::F or M::age group::occupation::zip code'
    return _profiles(archive, member, user_of, expected, mend, duplicates)


def _profiles(
    archive: Archive,
    member: str,
    user_of: Callable[[str], tuple[str, str] | None],
    expected: str,
    mend: str,
    duplicates: str,
) -> dict[str, str]:
    path = archive.path_of(member)
    users = ListedOnce[_Told](path, 'user', mend=mend, keep_first=duplicates == 'keep_first')
    for number, line in filled_lines(archive.lines(member, UTF8_OR_LATIN1)):
        found = user_of(line)
        if found is None:
            bad_line(path, number, repr(line), expected)
        users.add(number, found[0], _Told(found[1]))
    return {user: told.profile for user, told in users.records.items()}


def _profile(gender: str, age: str, occupation: str) -> str:
    return ', '.join(part for part in (f'a {_GENDERS[gender]}', age, occupation) if part)


# The order of the 19 flags in u.item.
_GENRES_100K = (
    'unknown', 'Action', 'Adventure', 'Animation', "Children's", 'Comedy', 'Crime', 'Documentary', 'Drama',
    'Fantasy', 'Film-Noir', 'Horror', 'Musical', 'Mystery', 'Romance', 'Sci-Fi', 'Thriller', 'War', 'Western',
)  # fmt: skip
_NO_GENRE = '(no genres listed)'


# Numbered lines of a file, and the file -> the number and the fields of each row.
Rows = Callable[[Iterable[tuple[int, str]], Path], Iterator[tuple[int, list[str]]]]


class Format(NamedTuple):
    """How one variant is written.

    Attributes:
      archive: the archive's name, without '.zip'.
      directory: the directory in it.
      ratings: the file of ratings.
      movies: the file of movies.
      users: the file of users, where there is one.
      tags: the file of tags, where there is one.
      encoding: of all files.
      header: whether ratings, movies and tags begin with a line of names.
      split_rating: a line of ratings -> user, movie, stars, seconds since 1970.
      rating_fields: what a line of ratings holds, for messages.
      movie_rows: reads the movies: movie, title and what `genres` reads.
      movie_fields: what a line of movies holds, for messages.
      movie_field_count: how many fields that is.
      genres: the fields of a movie -> its genres.
      profiles: archive, file of users and what `profiles_1m` takes -> what is known of the users, in words.
      tag_rows: reads the tags: user, movie, tag, seconds.
      tag_fields: what a line of tags holds, for messages.
    """

    archive: str
    directory: str
    ratings: str
    movies: str
    users: str | None
    tags: str | None
    encoding: str
    header: bool
    split_rating: Callable[[str], list[str]]
    rating_fields: str
    movie_rows: Rows
    movie_fields: str
    movie_field_count: int
    genres: Callable[[list[str]], tuple[str, ...]]
    profiles: Callable[[Archive, str, str, str], dict[str, str]] | None
    tag_rows: Rows
    tag_fields: str


def _parted_by(mark: str) -> Rows:
    return lambda lines, path: ((number, line.split(mark)) for number, line in lines)


def _tags_parted_by_colons(lines: Iterable[tuple[int, str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    # A tag may hold what parts the fields.
    for number, line in lines:
        before, parted, seconds = line.rpartition('::')
        yield number, [*before.split('::', 2), seconds] if parted else [line]


def _csv_of(expected: str) -> Rows:
    return lambda lines, path: csv_rows(lines, path, expected)


def _listed_genres(fields: list[str]) -> tuple[str, ...]:
    return tuple(genre for genre in fields[2].split('|') if genre != _NO_GENRE)


def _flagged_genres(fields: list[str]) -> tuple[str, ...]:
    return tuple(genre for genre, flag in zip(_GENRES_100K, fields[5:]) if flag == '1' and genre != 'unknown')


def _colons(archive: str, directory: str, users: str | None, tags: str | None, encoding: str) -> Format:
    """The form of 1m and 10m."""
    return Format(
        archive=archive,
        directory=directory,
        ratings='ratings.dat',
        movies='movies.dat',
        users=users,
        tags=tags,
        encoding=encoding,
        split_rating=lambda line: line.split('::'),
        movie_rows=_parted_by('::'),
        rating_fields='user::movie::rating::seconds',
        movie_fields='movie::title::genre|genre|...',
        movie_field_count=3,
        header=False,
        genres=_listed_genres,
        profiles=profiles_1m if users else None,
        tag_rows=_tags_parted_by_colons,
        tag_fields='user::movie::tag::seconds',
    )


def _comma_separated(name: str) -> Format:
    """The form of 20m and all that followed."""
    return Format(
        archive=name,
        directory=name,
        ratings='ratings.csv',
        movies='movies.csv',
        users=None,
        tags='tags.csv',
        encoding='utf-8',
        split_rating=lambda line: line.split(','),
        movie_rows=_csv_of('movieId,title,genre|genre|...'),
        rating_fields='userId,movieId,rating,timestamp',
        movie_fields='movieId,title,genre|genre|...',
        movie_field_count=3,
        header=True,
        genres=_listed_genres,
        profiles=None,
        tag_rows=_csv_of('userId,movieId,tag,timestamp'),
        tag_fields='userId,movieId,tag,timestamp',
    )


FORMATS = {
    '100k': Format(
        archive='ml-100k',
        directory='ml-100k',
        ratings='u.data',
        movies='u.item',
        users='u.user',
        tags=None,
        encoding=UTF8_OR_LATIN1,
        split_rating=lambda line: line.split('\t'),
        movie_rows=_parted_by('|'),
        rating_fields='user, movie, rating, seconds, parted by tabs',
        movie_fields='movie|title|release date|video release date|URL|19 genre flags',
        movie_field_count=24,
        header=False,
        genres=_flagged_genres,
        profiles=profiles_100k,
        tag_rows=_parted_by('|'),
        tag_fields='none',
    ),
    '1m': _colons('ml-1m', 'ml-1m', 'users.dat', None, UTF8_OR_LATIN1),
    '10m': _colons('ml-10m', 'ml-10M100K', None, 'tags.dat', 'utf-8'),
    **{
        variant: _comma_separated(f'ml-{variant}')
        for variant in ('20m', '25m', '32m', 'latest', 'latest-small')
    },
}
