"""MovieLens (Harper and Konstan, 2015): ratings of movies, from the archives as GroupLens publishes them."""

import csv
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.movielens_formats import FORMATS, Format
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


def _read_ratings(
    archive: Archive, form: Format, catalogue: Mapping[str, ItemRecord], profiles: Mapping[str, str]
) -> RawEvents:
    path = archive.path_of(form.ratings)
    line_numbers, user_id, item_id, timestamp, rating = [], [], [], [], []
    for number, line in _data_lines(archive, form.ratings, form):
        try:
            user, movie, stars, seconds = form.split_rating(line)
            rating.append(float(stars))
            timestamp.append(int(seconds))
        except ValueError:
            bad_line(path, number, f'{line!r}', form.rating_fields)
        if movie not in catalogue:
            bad_line(path, number, f'movie {movie!r} is not in {form.movies}', f'movies of {form.movies}')
        if profiles and user not in profiles:
            bad_line(path, number, f'user {user!r} is not in {form.users}', f'users of {form.users}')
        line_numbers.append(number)
        user_id.append(user)
        item_id.append(movie)
    none = [''] * len(line_numbers)
    return RawEvents(
        np.asarray(line_numbers, np.int64),
        user_id,
        item_id,
        np.asarray(timestamp, np.int64),
        np.asarray(rating, np.float32),
        none,
        none,
    )
