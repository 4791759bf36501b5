"""What all sources that read a publisher's files share: settings, and the way from events to a corpus."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool

from llmrec_jax.corpora import unnamed_items
from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.raw_events import (
    DUPLICATES,
    TIES,
    ItemRecord,
    RawEvents,
    assemble,
    core_events,
    without_duplicates,
)
from llmrec_jax.corpora.raw_files import file_sha256
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.source import one_of
from llmrec_jax.corpora.text_column import TextColumn


class UserRecord(NamedTuple):
    """What a file tells of one user: the column of `Users` beside the id."""

    profile: str


@dataclasses.dataclass
class RawTables:
    """What a source has read of its files.

    Attributes:
      events: in the order of the file.
      events_path: that file, for messages.
      items: gives what the files tell of the items of these ids; files of items hold many more.
      profiles: gives what they tell of the users of these ids, in words.
      scraps: counts what was taken out of texts, while they are read.
      facts: further values for the provenance, which `items` and `profiles` may add to.
      ticks_per_second: how finely the events' timestamps count; they are told apart by ticks, and kept in
        seconds.
    """

    events: RawEvents
    events_path: Path
    items: Callable[[Set[str]], Mapping[str, ItemRecord]] = lambda _: {}
    profiles: Callable[[Set[str]], Mapping[str, str]] = lambda _: {}
    scraps: Scraps = dataclasses.field(default_factory=Scraps)
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    ticks_per_second: int = 1


@dataclasses.dataclass(frozen=True)
class RawSource:
    """A source of published events; the settings below hold for all of them.

    Attributes:
      k_core: fewest events of every user and item, applied until it holds for all; 1 keeps everything.
      duplicates: what to do when user, item and time come again, or when two lines tell different things of
        one item or user: 'error', or 'keep_first', which goes by the earlier line. The same pair at another
        time is another event; exact copies of an item's line count once.
      items_without_text: what becomes of items that have neither title nor brand, category or description:
        'kept' leaves them so; 'dropped' takes them out with their events, before the k-core; 'named' gives
        them `name_without_text` as their title.
      name_without_text: that title; `{item_id}` stands for the source's id.
      ties: order of a user's events of the same time: 'file_order', 'shuffled' or 'item_id', see
        `raw_events.time_order`. Where a file lists them by the ids of their items, which a model would learn,
        'file_order' shuffles them.
      tie_seed: seed of the shuffle of ties.
      relabel_seed: seed of the random rows of users and items; None keeps the file's order.
    """

    k_core: int = dataclasses.field(default=1, kw_only=True)
    duplicates: str = dataclasses.field(default='error', kw_only=True)
    items_without_text: str = dataclasses.field(default=unnamed_items.KEPT, kw_only=True)
    name_without_text: str = dataclasses.field(default=unnamed_items.NAME, kw_only=True)
    ties: str = dataclasses.field(default='file_order', kw_only=True)
    tie_seed: int = dataclasses.field(default=0, kw_only=True)
    relabel_seed: int | None = dataclasses.field(default=0, kw_only=True)
    # What precedes the slash in the name, and names the TFDS data set.
    kind: ClassVar[str]

    def __post_init__(self):
        source = type(self).__name__
        one_of(f'{source}.duplicates', self.duplicates, DUPLICATES)
        one_of(f'{source}.ties', self.ties, TIES)
        unnamed_items.checked_rule(source, self.items_without_text, self.name_without_text)

    @property
    def name(self) -> str:
        """The kind of source, a slash, and which of its corpora."""
        raise NotImplementedError

    def input_files(self) -> Mapping[str, Path]:
        """See `source.FileSource`."""
        raise NotImplementedError

    def read(self, files: Mapping[str, Path]) -> RawTables:
        """Reads the events; what reads the rest waits until it is known which items are left."""
        raise NotImplementedError

    def build(self) -> Corpus:
        """Reads the files, filters, sorts, relabels.

        Raises:
          FileNotFoundError: when a file is missing.
          ValueError: naming file and line, when a file is cut short, a line is malformed, an event comes
            again or lines contradict each other under `duplicates='error'`; and when the k-core is empty.
        """
        files = self.input_files()
        tables = self.read(files)
        if not len(tables.events):
            raise ValueError(f'{tables.events_path} holds no event; copy or download it again')
        once = without_duplicates(tables.events, tables.events_path, self.duplicates)
        core = core_events(once, self.k_core, self.name)
        catalogue = tables.items(_distinct(core.item_id))
        core, catalogue, told = self._with_text(core, catalogue)
        profiles = tables.profiles(_distinct(core.user_id))
        provenance = self.provenance(files, tables.facts, tables.scraps, len(tables.events), len(once), told)
        corpus = assemble(
            self.name,
            core,
            catalogue,
            profiles,
            ties=self.ties,
            tie_seed=self.tie_seed,
            relabel_seed=self.relabel_seed,
            provenance=provenance,
        )
        if tables.ticks_per_second == 1:
            return corpus
        seconds = corpus.events.timestamp // tables.ticks_per_second
        return dataclasses.replace(corpus, events=dataclasses.replace(corpus.events, timestamp=seconds))

    def provenance(
        self,
        files: Mapping[str, Path],
        facts: Mapping[str, Any],
        scraps: Scraps,
        events_read: int,
        events_once: int,
        told: Mapping[str, Any],
    ) -> dict[str, Any]:
        """What the corpus was made from.

        Args:
          files: that were read.
          facts: of the source.
          scraps: what was taken out of texts.
          events_read: how many events the files hold.
          events_once: how many are left where each counts once.
          told: of items without text.
        """
        return {
            'source': self.kind,
            'files': {name: file_sha256(path) for name, path in files.items()},
            'events_read': events_read,
            'duplicates': events_read - events_once,
            'duplicates_rule': self.duplicates,
            'k_core': self.k_core,
            'scraps_removed': scraps.total(),
            'scraps_by_field': {field: count for field, count in sorted(scraps.items()) if count},
            **told,
            **facts,
        }

    def named_items(
        self, ids: Sequence[str], catalogue: Mapping[str, ItemRecord]
    ) -> tuple[Mapping[str, ItemRecord], Bool[np.ndarray, 'items']]:
        """The catalogue, with names where the rule gives them; and which of the items have no text."""
        records = [catalogue.get(item_id, ItemRecord()) for item_id in ids]
        silent = unnamed_items.without_text(*list(zip(*records))[:4])
        if self.items_without_text == unnamed_items.NAMED:
            named = [(ids[row], records[row]) for row in np.flatnonzero(silent)]
            titles = {item_id: self.name_without_text.format(item_id=item_id) for item_id, _ in named}
            catalogue = {**catalogue, **{key: record._replace(title=titles[key]) for key, record in named}}
        return catalogue, silent

    def _with_text(
        self, core: RawEvents, catalogue: Mapping[str, ItemRecord]
    ) -> tuple[RawEvents, Mapping[str, ItemRecord], Mapping[str, Any]]:
        """Applies the rule for items without text; also gives what the provenance says of it."""
        ids, item = TextColumn.of(core.item_id).encode()
        catalogue, silent = self.named_items(ids, catalogue)
        left = core
        if self.items_without_text == unnamed_items.DROPPED and silent.any():
            left = core_events(core.take(np.flatnonzero(~silent[item])), self.k_core, self.name)
        told = unnamed_items.told(
            self.items_without_text,
            int(silent.sum()),
            len(core) - len(left),
            len(_distinct(core.user_id)) - len(_distinct(left.user_id)),
        )
        return left, catalogue, told


def _distinct(ids: Sequence[str]) -> Set[str]:
    return set(TextColumn.of(ids).encode()[0])
