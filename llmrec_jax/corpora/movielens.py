"""MovieLens (Harper and Konstan, 2015): ratings of movies, from the archives as GroupLens publishes them."""

import collections
import dataclasses
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import ClassVar, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from llmrec_jax.corpora import citations, scraped_text
from llmrec_jax.corpora.listed_once import ListedOnce
from llmrec_jax.corpora.movielens_formats import FORMATS, Format
from llmrec_jax.corpora.plain_rows import COLUMNS, SCHEMA, plain_rows, table_of
from llmrec_jax.corpora.raw_events import ItemRecord, RawEvents
from llmrec_jax.corpora.raw_files import Archive, bad_line, filled_lines, find_archive, finite, whole
from llmrec_jax.corpora.raw_source import RawSource, RawTables
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.source import About, KnownFile, location, one_of
from llmrec_jax.corpora.text_column import TextColumn

# 'latest' and 'latest-small' change; of the others these are known.
_ARCHIVES = {
    '100k': KnownFile(4924029, '50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229'),
    '1m': KnownFile(5917549, 'a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20'),
    '20m': KnownFile(198702078, '96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3'),
    '25m': KnownFile(261978986, '8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa'),
}
# Lines that are Python objects at one time, where ratings are not plain.
_LINES_AT_ONCE = 1 << 18


@dataclasses.dataclass(frozen=True)
class MovieLens(RawSource):
    """One variant of MovieLens, as its zip archive or the directory that was unpacked from it.

    Titles carry the year as published; genres are the categories; what 100k and 1m tell of their users is the
    profile, in words. The catalogue holds the movies that were rated. The settings that all published events
    share are told in `raw_source.RawSource`.

    Attributes:
      variant: '100k', '1m', '10m', '20m', '25m', '32m', 'latest' or 'latest-small'.
      manual_dir: the directory with the archive or the files; None downloads the archive from `url_root` when
        the corpus is prepared.
      tags: how many of a movie's tags, the most often given first, become its description; 0 leaves tags
        unread. 100k and 1m have none. Users gave tags at any time, so they may tell of what came later.
      url_root: where the archives are published.
    """

    variant: str = 'latest-small'
    manual_dir: str | None = location(None)
    tags: int = 0
    url_root: str = location('https://files.grouplens.org/datasets/movielens')
    kind: ClassVar[str] = 'movielens'
    about: ClassVar[About] = citations.MOVIELENS

    def __post_init__(self):
        super().__post_init__()
        one_of('MovieLens.variant', self.variant, tuple(FORMATS))
        if self.tags < 0 or (self.tags and FORMATS[self.variant].tags is None):
            tagged = ', '.join(variant for variant, form in FORMATS.items() if form.tags)
            raise ValueError(
                f'MovieLens.tags is {self.tags} for variant {self.variant!r}; expected 0, or how many tags '
                f'to read of one of {tagged}'
            )

    @property
    def name(self) -> str:
        """'movielens/' and the variant."""
        return f'movielens/{self.variant}'

    def urls(self) -> Mapping[str, str]:
        """File name -> where it is published."""
        name = f'{FORMATS[self.variant].archive}.zip'
        return {name: f'{self.url_root}/{name}'}

    def known_files(self) -> Mapping[str, KnownFile]:
        """The archives that do not change, where GroupLens publishes them."""
        name = f'{FORMATS[self.variant].archive}.zip'
        published = self.url_root == type(self).url_root
        return {name: _ARCHIVES[self.variant]} if published and self.variant in _ARCHIVES else {}

    def input_files(self) -> Mapping[str, Path]:
        """The archive, or the files that were unpacked from it.

        Raises:
          FileNotFoundError: when neither is there, naming what was looked for.
        """
        return self._archive().files()

    def read(self, files: Mapping[str, Path]) -> RawTables:
        """See `RawSource.read`."""
        archive, form = self._archive(), FORMATS[self.variant]
        scraps = Scraps()
        mend = "each movie and user once, or copies of it (duplicates='keep_first' goes by the earlier line)"
        movies = ListedOnce[ItemRecord](
            archive.path_of(form.movies), 'movie', mend=mend, keep_first=self.duplicates == 'keep_first'
        )
        _read_movies(archive, form, movies, scraps)
        profiles = form.profiles(archive, form.users, mend, self.duplicates) if form.profiles else {}
        events = _read_ratings(archive, form, movies.records, profiles)

        def items(wanted: Set[str]) -> Mapping[str, ItemRecord]:
            if not self.tags:
                return movies.records
            tags = _read_tags(archive, form, wanted, self.tags)
            return {
                movie: record._replace(description=tags.get(movie, ''))
                for movie, record in movies.records.items()
            }

        return RawTables(
            events,
            archive.path_of(form.ratings),
            items,
            lambda _: profiles,
            scraps,
            {'repeated_item_lines': movies.repeated, 'tags': self.tags},
        )

    def _archive(self) -> Archive:
        if self.manual_dir is None:
            raise FileNotFoundError(
                f'{self.name}: the files are not at hand; set MovieLens.manual_dir to the directory that '
                'holds them, or download them with llmrec_jax.corpora.prepare.prepare'
            )
        form = FORMATS[self.variant]
        tags = form.tags if self.tags else None
        members = tuple(name for name in (form.ratings, form.movies, form.users, tags) if name)
        mend = f'set MovieLens.manual_dir, or download it from {self.url_root}'
        return find_archive(Path(self.manual_dir).expanduser(), form.archive, members, mend, form.directory)


def _data_lines(archive: Archive, member: str, form: Format) -> Iterator[tuple[int, str]]:
    lines = filled_lines(archive.lines(member, form.encoding))
    if form.header:
        number, line = next(lines, (1, ''))
        if not line or line.split(',')[0].isdigit():
            bad_line(archive.path_of(member), number, f'data ({line!r})', 'a header')
    return lines


def _read_movies(archive: Archive, form: Format, movies: ListedOnce[ItemRecord], scraps: Scraps) -> None:
    path = archive.path_of(form.movies)
    for number, fields in form.movie_rows(_data_lines(archive, form.movies, form), path):
        if len(fields) != form.movie_field_count:
            bad_line(path, number, f'{len(fields)} fields', form.movie_fields)
        title = scraped_text.line(fields[1], 'title', scraps)
        movies.add(number, fields[0].strip(), ItemRecord(title=title, categories=form.genres(fields)))


def _read_tags(archive: Archive, form: Format, wanted: Set[str], most: int) -> dict[str, str]:
    """Movie -> its most frequent tags, in small letters, as one text; ties between tags are alphabetical."""
    path = archive.path_of(form.tags)
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for number, fields in form.tag_rows(_data_lines(archive, form.tags, form), path):
        if len(fields) != 4:
            bad_line(path, number, f'{len(fields)} fields', form.tag_fields)
        tag = ' '.join(scraped_text.readable(fields[2]).lower().split())
        if fields[1] in wanted and tag:
            counts[fields[1]][tag] += 1
    return {
        movie: ', '.join(sorted(tags, key=lambda tag: (-tags[tag], tag))[:most])
        for movie, tags in counts.items()
    }


class _Listed(NamedTuple):
    """The movies or users that ratings may name."""

    what: str
    column: str
    member: str
    ids: Collection[str]

    def missing(self, archive: Archive, form: Format, line: int, one: str) -> NoReturn:
        problem = f'{self.what} {one!r} is not in {self.member}'
        bad_line(archive.path_of(form.ratings), line, problem, f'{self.what}s of {self.member}')


def _read_ratings(
    archive: Archive, form: Format, catalogue: Mapping[str, ItemRecord], profiles: Mapping[str, str]
) -> RawEvents:
    listed = [_Listed('movie', 'item', form.movies, catalogue)]
    if profiles:
        listed.append(_Listed('user', 'user', form.users, profiles))
    tables, lines = [SCHEMA.empty_table()], [np.zeros(0, np.int32)]
    for table, numbers in _rating_tables(archive, form, listed):
        tables.append(table)
        lines.append(numbers)
    ratings = pa.concat_tables(tables)
    none = TextColumn.constant('', len(ratings))
    return RawEvents(
        np.concatenate(lines),
        TextColumn.from_arrow(ratings['user']),
        TextColumn.from_arrow(ratings['item']),
        ratings['timestamp'].to_numpy(),
        ratings['rating'].to_numpy(),
        none,
        none,
    )


def _rating_tables(
    archive: Archive, form: Format, listed: Sequence[_Listed]
) -> Iterator[tuple[pa.Table, Int[np.ndarray, 'rows']]]:
    """Tables of ratings with the line of each: by Arrow while lines are plain, and the rest one by one."""
    lines = _data_lines(archive, form.ratings, form)
    read = 0
    with archive.opened(form.ratings) as stream:
        if form.header:
            stream.readline()
        for table in plain_rows(stream, _separator(form)):
            if table is None or _has_gaps(table):
                break
            numbers = np.arange(read, read + len(table), dtype=np.int32) + (1 + form.header)
            _check_listed(archive, form, table, numbers, listed)
            yield table, numbers
            read += len(table)
        else:
            if read:
                return
    rest = itertools.islice(lines, read, None)
    while rows := list(itertools.islice(rest, _LINES_AT_ONCE)):
        ratings = [_rating(archive, form, number, line, listed) for number, line in rows]
        yield table_of(*map(list, zip(*ratings))), np.asarray([number for number, _ in rows])


def _has_gaps(ratings: pa.Table) -> bool:
    """Whether a user has no name or a rating no place in float32, which the reader of lines names."""
    return '' in TextColumn.from_arrow(ratings['user']).encode()[0] or bool(np.isinf(ratings['rating']).any())


def _separator(form: Format) -> str:
    """What parts the fields of a plain rating, told by the form's own reader of a line."""
    fields = ['1', '2', '3', '4']
    return next(text for text in (',', '\t', '::') if form.split_rating(text.join(fields)) == fields)


def _rating(
    archive: Archive, form: Format, number: int, line: str, listed: Sequence[_Listed]
) -> tuple[str, str, float, int]:
    try:
        user, movie, stars, seconds = form.split_rating(line)
        rating = user.strip(), movie.strip(), finite(stars), whole(seconds)
    except ValueError:
        bad_line(archive.path_of(form.ratings), number, f'{line!r}', form.rating_fields)
    if not rating[0]:
        bad_line(archive.path_of(form.ratings), number, 'a rating of no user', form.rating_fields)
    for one in listed:
        if rating[COLUMNS.index(one.column)] not in one.ids:
            one.missing(archive, form, number, rating[COLUMNS.index(one.column)])
    return rating


def _check_listed(
    archive: Archive,
    form: Format,
    ratings: pa.Table,
    lines: Int[np.ndarray, 'rows'],
    listed: Sequence[_Listed],
) -> None:
    first = []
    for one in listed:
        ids, codes = TextColumn.from_arrow(ratings[one.column]).encode()
        unknown = [code for code, name in enumerate(ids) if name not in one.ids]
        first += [(int(np.argmax(codes == code)), one, ids[code]) for code in unknown[:1]]
    if first:
        row, one, name = min(first, key=lambda found: found[0])
        one.missing(archive, form, int(lines[row]), name)
