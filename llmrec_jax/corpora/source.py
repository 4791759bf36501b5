"""What a corpus is made from: the interface of a source, and what identifies the corpus it gives."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.raw_files import file_sha256

_LOCATION = 'llmrec_location'


@runtime_checkable
class CorpusSource(Protocol):
    """A frozen dataclass that gives one corpus; its fields are what gin sets."""

    @property
    def name(self) -> str:
        """E.g. 'simulated_shop/quickstart'; what precedes the slash names the kind of source."""

    def build(self) -> Corpus:
        """Parses or generates the corpus; the same source and files always give the same corpus."""


@runtime_checkable
class FileSource(CorpusSource, Protocol):
    """A source that reads files."""

    def input_files(self) -> Mapping[str, Path]:
        """The files that `build` reads, under names that do not depend on the machine.

        Raises:
          FileNotFoundError: when one is missing, saying what was expected where.
        """


@runtime_checkable
class DownloadableSource(FileSource, Protocol):
    """A source whose files can be fetched from where they were published."""

    @property
    def manual_dir(self) -> str | None:
        """Where the files lie; None asks for them to be downloaded."""

    def urls(self) -> Mapping[str, str]:
        """File name -> where it is published."""


class About(NamedTuple):
    """What a kind of corpora is. A source tells it by a class attribute `about`, if it wants to.

    Attributes:
      description: in a sentence or two.
      homepage: where more is told; '' where nothing is.
      citation: what to cite who uses it, in BibTeX; '' for nothing.
    """

    description: str
    homepage: str = ''
    citation: str = ''


class KnownFile(NamedTuple):
    """How a publisher's file is told from a damaged copy.

    Attributes:
      size: in bytes.
      sha256: of its bytes, in hex.
    """

    size: int
    sha256: str


def about(source: CorpusSource) -> About:
    """What the source tells of its corpora, or what its class says in its first line."""
    told = getattr(source, 'about', None)
    return told or About((type(source).__doc__ or type(source).__name__).strip().partition('\n')[0])


def known_files(source: CorpusSource) -> Mapping[str, KnownFile]:
    """Of the files that the source downloads, by name, those of which it tells size and sha256.

    A source tells them by a method `known_files`, if it wants to.
    """
    told = getattr(source, 'known_files', None)
    return told() if told else {}


def location(default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that says where files lie: not what they hold, so no part of the identity."""
    return dataclasses.field(default=default, metadata={_LOCATION: True})


def is_location(field: dataclasses.Field) -> bool:
    """Whether a dataclass field was made by `location`."""
    return bool(field.metadata.get(_LOCATION))


def one_of(field: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises a ValueError that names the field, unless `value` is allowed."""
    if value not in allowed:
        raise ValueError(f'{field} is {value!r}; expected one of {", ".join(map(repr, allowed))}')


def identity(source: CorpusSource) -> dict[str, Any]:
    """All that determines the corpus of `source`, as JSON-able values.

    The class and the fields of the source, except locations; and the sha256 of every file it reads. Two
    sources with the same identity give the same corpus, on any machine.
    """
    settings = {
        field.name: getattr(source, field.name)
        for field in dataclasses.fields(source)
        if not is_location(field)
    }
    files = source.input_files() if isinstance(source, FileSource) else {}
    return {
        'source': f'{type(source).__module__}.{type(source).__qualname__}',
        'name': source.name,
        'settings': {
            name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
            for name, value in settings.items()
        },
        'files': {name: file_sha256(path) for name, path in files.items()},
    }
