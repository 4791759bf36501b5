"""MovieLens (Harper and Konstan, 2015): ratings of movies, from the archives as GroupLens publishes them."""

import csv
import dataclasses
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.movielens_formats import FORMATS, Format
from llmrec_jax.corpora.plain_rows import COLUMNS, SCHEMA, plain_rows, table_of
from llmrec_jax.corpora.raw_events import (
    TIES,
    ItemRecord,
    RawEvents,
    assemble,
    core_events,
    without_duplicates,
)
from llmrec_jax.corpora.raw_files import Archive, bad_line, file_sha256, find_archive
from llmrec_jax.corpora.source import location, one_of
from llmrec_jax.corpora.text_column import TextColumn

# Lines that are Python objects at one time, where ratings are not plain.
_LINES_AT_ONCE = 1 << 18


@dataclasses.dataclass(frozen=True)
class MovieLens:
    """One variant of MovieLens, as its zip archive or the directory that was unpacked from it.

    Titles carry the year as published; genres are the categories; what 100k and 1m tell of their users is the
    profile, in words. The catalogue holds the movies that were rated.

    Attributes:
      variant: '100k', '1m' or 'latest-small'.
      manual_dir: the directory with the archive or the files; None downloads the archive from `url_root` when
        the corpus is prepared.
      k_core: fewest ratings of every user and movie, applied until it holds for all; 1 keeps everything.
      ties: order of a user's ratings of the same second, see `raw_events.time_order`.
      tie_seed: seed of `ties='shuffled'`.
      relabel_seed: seed of the random rows of users and movies; None keeps the file's order.
      url_root: where the archives are published.
    """

    variant: str = 'latest-small'
    manual_dir: str | None = location(None)
    k_core: int = 1
    ties: str = 'file_order'
    tie_seed: int = 0
    relabel_seed: int | None = 0
    url_root: str = location('https://files.grouplens.org/datasets/movielens')

    def __post_init__(self):
        one_of('MovieLens.variant', self.variant, tuple(FORMATS))
        one_of('MovieLens.ties', self.ties, TIES)

    @property
    def name(self) -> str:
        """'movielens/' and the variant."""
        return f'movielens/{self.variant}'

    def urls(self) -> Mapping[str, str]:
        """File name -> where it is published."""
        name = f'{FORMATS[self.variant].directory}.zip'
        return {name: f'{self.url_root}/{name}'}

    def input_files(self) -> Mapping[str, Path]:
        """The archive, or the files that were unpacked from it.

        Raises:
          FileNotFoundError: when neither is there, naming what was looked for.
        """
        return self._archive().files()

    def build(self) -> Corpus:
        """Reads the files, filters, sorts, relabels.

        Raises:
          FileNotFoundError: when a file is missing.
          ValueError: naming file and line, when an archive is damaged, a line is malformed, a rating is of a
            movie that is not listed, or comes again; and when the k-core is empty.
        """
        archive, form = self._archive(), FORMATS[self.variant]
        catalogue = _read_movies(archive, form)
        profiles = form.profiles(archive, form.users) if form.profiles else {}
        read = without_duplicates(
            _read_ratings(archive, form, catalogue, profiles), archive.path_of(form.ratings), 'error'
        )
        provenance = {
            'source': 'movielens',
            'files': {name: file_sha256(path) for name, path in archive.files().items()},
            'events_read': len(read),
            'k_core': self.k_core,
        }
        return assemble(
            self.name,
            core_events(read, self.k_core, self.name),
            catalogue,
            profiles,
            ties=self.ties,
            tie_seed=self.tie_seed,
            relabel_seed=self.relabel_seed,
            provenance=provenance,
        )

    def _archive(self) -> Archive:
        if self.manual_dir is None:
            raise FileNotFoundError(
                f'{self.name}: the files are not at hand; set MovieLens.manual_dir to the directory that '
                'holds them, or download them with llmrec_jax.corpora.prepare.prepare'
            )
        form = FORMATS[self.variant]
        members = tuple(name for name in (form.ratings, form.movies, form.users) if name)
        mend = f'set MovieLens.manual_dir, or download it from {self.url_root}'
        return find_archive(Path(self.manual_dir).expanduser(), form.directory, members, mend)


def _data_lines(archive: Archive, member: str, form: Format) -> Iterator[tuple[int, str]]:
    lines = archive.lines(member, form.encoding)
    if form.header:
        number, line = next(lines)
        if line.split(',')[0].isdigit():
            bad_line(archive.path_of(member), number, f'data ({line!r})', 'a header')
    return lines


def _read_movies(archive: Archive, form: Format) -> dict[str, ItemRecord]:
    path = archive.path_of(form.movies)
    catalogue = {}
    for number, line in _data_lines(archive, form.movies, form):
        try:
            fields = form.split_movie(line)
        except csv.Error as error:
            bad_line(path, number, f'not CSV ({error})', form.movie_fields)
        if len(fields) != form.movie_field_count:
            bad_line(path, number, f'{len(fields)} fields', form.movie_fields)
        catalogue[fields[0]] = ItemRecord(title=fields[1], categories=form.genres(fields))
    return catalogue


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
            if table is None:
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


def _separator(form: Format) -> str:
    """What parts the fields of a plain rating, told by the form's own reader of a line."""
    fields = ['1', '2', '3', '4']
    return next(text for text in (',', '\t', '::') if form.split_rating(text.join(fields)) == fields)


def _rating(
    archive: Archive, form: Format, number: int, line: str, listed: Sequence[_Listed]
) -> tuple[str, str, float, int]:
    try:
        user, movie, stars, seconds = form.split_rating(line)
        rating = user, movie, float(stars), int(np.int64(int(seconds)))
    except (ValueError, OverflowError):
        bad_line(archive.path_of(form.ratings), number, f'{line!r}', form.rating_fields)
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
