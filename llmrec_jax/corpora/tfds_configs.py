"""What TFDS calls a config of a corpus: which table of which source, and where the source's files are."""

import dataclasses
import functools
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.source import (
    About,
    CorpusSource,
    DownloadableSource,
    about,
    identity,
    is_location,
    known_files,
    one_of,
)

LOG = logging.getLogger(__name__)
TABLES = ('items', 'users')
# The place of a source whose files lie where TFDS looks for what people fetch by hand.
MANUAL_DIR = '<manual_dir>'


@dataclasses.dataclass(eq=False)
class CorpusConfig(tfds.core.BuilderConfig):
    """One table of one corpus.

    `tfds build DATASET --config='{"table": "items", "settings": {…}}'` makes one that is not listed.

    Attributes:
      name: of the config; '' for the name under which recipes look for the table of a source with `settings`.
      table: 'items' or 'users'.
      settings: the fields of the source, for a config that is not listed.
      source: of the corpus, with `MANUAL_DIR` for a place that TFDS knows.
      corpus: gives the corpus, once the download manager is at hand.
      about: what the kind of corpora is.
      identity: what the corpus was made from, kept with the data.
    """

    name: str = ''
    table: str = 'users'
    settings: dict[str, Any] | None = None
    source: CorpusSource | None = dataclasses.field(default=None, repr=False)
    corpus: Callable[[tfds.download.DownloadManager], Corpus] | None = dataclasses.field(
        default=None, repr=False
    )
    about: About | None = dataclasses.field(default=None, repr=False)
    identity: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)


def table_configs(sources: Sequence[CorpusSource], name: str | None = None) -> list[CorpusConfig]:
    """The configs `<variant>-items` and `<variant>-users` of every source, which TFDS users find by name.

    Args:
      sources: of the corpora; one with `MANUAL_DIR` for a place finds its files in TFDS's `manual_dir`.
      name: of the variant, where the source does not tell it.
    """
    return [
        CorpusConfig(
            name=f'{name or variant(source)}-{table}',
            description=f'{name or source.name}: the {table}',
            table=table,
            source=source,
            corpus=functools.partial(_built, source),
            about=about(source),
        )
        for source in sources
        for table in TABLES
    ]


def variant(source: CorpusSource) -> str:
    """What follows the slash in the source's name, in letters that a TFDS config may have."""
    return re.sub(r'[^A-Za-z0-9_.-]', '_', source.name.partition('/')[2] or source.name)


def identified_config(
    source: CorpusSource, table: str, corpus: Callable[[tfds.download.DownloadManager], Corpus] | None = None
) -> CorpusConfig:
    """The config of a source whose files are at hand, which its name tells from all other sources and files.

    Args:
      source: of the corpus.
      table: 'items' or 'users'.
      corpus: gives the corpus; None for what the source builds.

    Raises:
      FileNotFoundError: when a file is missing.
    """
    made_from = identity(source)
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:12]
    return CorpusConfig(
        name=f'{variant(source)}-{digest}-{table}',
        description=f'{source.name}: the {table}',
        table=table,
        source=source,
        corpus=corpus or functools.partial(_built, source),
        about=about(source),
        identity=made_from,
    )


def with_settings(config: CorpusConfig, source_class: type | None) -> CorpusConfig:
    """What is built under a config of which `settings` alone are known.

    Args:
      config: with settings.
      source_class: whose fields they are.

    Raises:
      FileNotFoundError: when a file is missing.
      ValueError: naming what is set in vain or missing.
    """
    if source_class is None:
        raise ValueError('this data set has no source of its own, so that its configs have no settings')
    one_of('table', config.table, TABLES)
    fields = [field.name for field in dataclasses.fields(source_class)]
    if unknown := sorted(config.settings.keys() - set(fields)):
        raise ValueError(
            f'{source_class.__name__} has no field {unknown[0]!r}; the settings of a config are of {fields}'
        )
    try:
        source = source_class(**config.settings)
    except TypeError as error:
        raise ValueError(f'settings {config.settings}: {error}') from error
    if not config.name and not needs_download(source):
        return dataclasses.replace(identified_config(source, config.table), settings=config.settings)
    if not config.name:
        raise ValueError(
            f'{source.name}: files that are to be downloaded cannot name the config; give it a "name", or '
            'name the folder that holds the files by "manual_dir" among its "settings"'
        )
    return dataclasses.replace(
        config,
        description=f'{source.name}: the {config.table}',
        source=source,
        corpus=functools.partial(_built, source),
        about=about(source),
    )


def _built(source: CorpusSource, manager: tfds.download.DownloadManager) -> Corpus:
    return with_files(source, manager).build()


def url_infos(sources: Sequence[CorpusSource]) -> dict[str, UrlInfo]:
    """The sizes and checksums by which TFDS tells a damaged download, of the files that are known."""
    found = {}
    for source in sources:
        urls = source.urls() if isinstance(source, DownloadableSource) else {}
        for name, known in known_files(source).items():
            found[urls[name]] = UrlInfo(size=known.size, checksum=known.sha256, filename=name)
    return found


def needs_download(source: CorpusSource) -> bool:
    """Whether the source reads published files and names no directory that holds them."""
    return isinstance(source, DownloadableSource) and source.manual_dir is None


def with_files(source: CorpusSource, manager: tfds.download.DownloadManager) -> CorpusSource:
    """`source` with its files at hand: itself, unless it needs a download or TFDS's `manual_dir`.

    Published files that lie in `manual_dir` are taken from there. Downloads are kept under their published
    names in `<download_dir>/<kind of source>/`, where the next call finds them; a download that breaks off
    leaves nothing there.
    """
    by_hand = [
        field.name
        for field in dataclasses.fields(source)
        if is_location(field) and getattr(source, field.name) == MANUAL_DIR
    ]
    if by_hand:
        return dataclasses.replace(source, **dict.fromkeys(by_hand, str(manager.manual_dir)))
    if not needs_download(source):
        return source
    if fetched := _fetched_by_hand(source, manager):
        LOG.info('%s: files are read from %s', source.name, fetched.manual_dir)
        return fetched
    directory = Path(manager.download_dir) / source.name.split('/')[0]
    directory.mkdir(parents=True, exist_ok=True)
    missing = {name: url for name, url in source.urls().items() if not (directory / name).is_file()}
    for name, path in manager.download(missing).items():
        beside = directory / f'{name}.{os.getpid()}.part'
        shutil.copyfile(path, beside)
        os.replace(beside, directory / name)
    return dataclasses.replace(source, manual_dir=str(directory))


def _fetched_by_hand(
    source: DownloadableSource, manager: tfds.download.DownloadManager
) -> DownloadableSource | None:
    """The source with its files in `manual_dir`; None where they are not there."""
    try:
        fetched = dataclasses.replace(source, manual_dir=str(manager.manual_dir))
        fetched.input_files()
    except (AssertionError, FileNotFoundError):
        # TFDS asserts that there is such a folder.
        return None
    return fetched
