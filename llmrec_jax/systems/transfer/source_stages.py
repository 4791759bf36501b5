"""What is learned from, brought to disk: the sources' sequences, the texts of all domains, and their codes.

A control (`SourceItems.shuffle`) is made of the same files as what it controls, and shuffles as it reads.
"""

import dataclasses
import hashlib
import logging
import operator
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource, identity
from llmrec_jax.corpora.source_domains import TEXT as SHUFFLED_TEXT
from llmrec_jax.corpora.source_domains import SourceDomains, centred, join, shuffled_rows
from llmrec_jax.corpora.splits import Sequences, check_histories, leave_last_out
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.transfer.frozen_tables import CODES, DROPPED_TEXT, TEXT
from llmrec_jax.models.transfer.hierarchical import USER
from llmrec_jax.runs.artifact import Artifact, array_artifact, json_artifact
from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.semantic_ids.item_codes import ItemCodes, code_items
from llmrec_jax.semantic_ids.product_quantization import OptimizedProductQuantizer
from llmrec_jax.stages import corpus, tasks
from llmrec_jax.stages.corpus import CORPUS_FACTS
from llmrec_jax.stages.item_vectors import ITEM_VECTORS
from llmrec_jax.text.item_text import drop_words
from llmrec_jax.text.text_encoder import TextEncoder
from llmrec_jax.training.columns import ColumnStore, write_columns

LOG = logging.getLogger(__name__)


def _load_domains(path: pathlib.Path) -> SourceDomains:
    return SourceDomains.load(path)


def _save_domains(domains: SourceDomains, path: pathlib.Path) -> None:
    domains.save(path)


def _load_codes(path: pathlib.Path) -> ItemCodes:
    return ItemCodes.load(path)


def _save_codes(codes: ItemCodes, path: pathlib.Path) -> None:
    codes.save(path)


DOMAINS: Artifact[SourceDomains] = Artifact('sources/domains.npz', load=_load_domains, save=_save_domains)
# What the sources' catalogues say of their items.
SENTENCES: Artifact[list[str]] = json_artifact('sources/sentences.json')
SOURCE_FACTS = facts_of('sources')
# What pre-training is taught.
PRETRAINING_EXAMPLES: Artifact[ColumnStore] = tasks.examples('train', 'sources')
# Texts of the sources' items, whole and without some words; float32 [items, dim].
SOURCE_VECTORS: Artifact[np.ndarray] = array_artifact('sources/vectors.npy')
DROPPED_VECTORS: Artifact[np.ndarray] = array_artifact('sources/dropped_vectors.npy')
SOURCE_CODES: Artifact[ItemCodes] = Artifact('codes/sources.npz', load=_load_codes, save=_save_codes)
TARGET_CODES: Artifact[ItemCodes] = Artifact('codes/target.npz', load=_load_codes, save=_save_codes)


@dataclasses.dataclass(frozen=True)
class SourceItems:
    """The sources as they are learned from, or what a control leaves of them.

    Attributes:
      shuffle: what is destroyed, see `source_domains.SHUFFLES`.
      seed: of that.
      coded: whether items are told by codes.
      second_text: whether each item has a second text, which lacks some words.
    """

    shuffle: str
    seed: int
    coded: bool = False
    second_text: bool = False

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """Artifacts that are read of them."""
        coded = (SOURCE_CODES,) if self.coded else ()
        return (DOMAINS, SOURCE_VECTORS, *coded, *((DROPPED_VECTORS,) if self.second_text else ()))

    def domains(self, run: Run) -> SourceDomains:
        """Their sequences."""
        return run[DOMAINS].shuffled(self.shuffle, self.seed)

    def vectors(self, run: Run) -> Float[np.ndarray, 'items dim']:
        """Row `i` embeds the text of item `i`, or of another where a control says so."""
        return self._described(run, run[SOURCE_VECTORS])

    def tables(self, run: Run) -> Mapping[str, np.ndarray]:
        """What fills the frozen tables of the items."""
        if self.coded:
            return {CODES: run[SOURCE_CODES].codes}
        tables = {TEXT: self.vectors(run)}
        if self.second_text:
            tables[DROPPED_TEXT] = self._described(run, run[DROPPED_VECTORS])
        return tables

    def _described(self, run: Run, vectors: Float[np.ndarray, 'items dim']) -> Float[np.ndarray, 'items dim']:
        if self.shuffle != SHUFFLED_TEXT:
            return vectors
        return shuffled_rows(vectors, run[DOMAINS].n_items, self.seed)


@dataclasses.dataclass(frozen=True)
class PrepareSources(Stage):
    """Prepares the domains that are learned from.

    Attributes:
      sources: the domains.
      data_dir: where TFDS keeps them.
      item_fields: fields of an item that its sentence shows.
    """

    sources: tuple[CorpusSource, ...] = marks.described_by(lambda sources: [identity(one) for one in sources])
    data_dir: str = marks.without_effect()
    item_fields: tuple[str, ...] = ()
    name: ClassVar[str] = 'sources'
    phase: ClassVar[Phase] = 'prepare'
    writes: ClassVar = (DOMAINS, SENTENCES)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        from llmrec_jax.text.item_text import item_sentences

        corpora = [corpus.load(source, self.data_dir, run) for source in self.sources]
        for one in corpora:
            check_histories(one)
        run.put(SENTENCES, [text for one in corpora for text in item_sentences(one.items, self.item_fields)])
        domains = join([leave_last_out(one) for one in corpora], [len(one.items) for one in corpora])
        run.put(DOMAINS, domains)
        return {
            'domains': [one.name for one in corpora],
            'corpora': [one.fingerprint() for one in corpora],
            'items': list(domains.n_items),
            'users': len(domains.train),
            'events': len(domains.train.values),
        }


@dataclasses.dataclass(frozen=True)
class WritePretrainingExamples(Stage):
    """Writes the examples of pre-training: the sources' histories, or what a control leaves of them.

    Attributes:
      sources: what is read.
      max_items: the newest items of a history that are read to predict the next one.
    """

    sources: SourceItems
    max_items: int
    name: ClassVar[str] = 'pretraining_tasks'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (DOMAINS, SOURCE_FACTS)
    writes: ClassVar = (PRETRAINING_EXAMPLES,)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        store = write_columns(
            run.path(PRETRAINING_EXAMPLES),
            whole_histories(self.sources.domains(run).train, self.max_items),
            {'corpora': run[SOURCE_FACTS]['corpora'], 'shuffle': self.sources.shuffle},
        )
        return {'examples': len(store)}


@dataclasses.dataclass(frozen=True)
class EmbedDomains(Stage):
    """Embeds the texts of all domains in one space: an encoder that is fitted to texts sees all.

    Attributes:
      corpus: the target.
      data_dir: where it is prepared.
      encoder: from sentences to vectors.
      item_fields: fields of an item that its sentence shows.
      centred: whether vectors are taken from the mean of their domain's.
      dropped_words: share of the words that the second text of a source's item lacks; None for no such text.
      seed: of the words that are dropped.
    """

    corpus: CorpusSource = marks.described_by(identity)
    data_dir: str = marks.without_effect()
    encoder: TextEncoder = marks.described_by(operator.attrgetter('name'))
    item_fields: tuple[str, ...] = ()
    centred: bool = False
    dropped_words: float | None = None
    seed: int = 0
    name: ClassVar[str] = 'item_vectors'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (CORPUS_FACTS, SENTENCES, SOURCE_FACTS)

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        second = () if self.dropped_words is None else (DROPPED_VECTORS,)
        return (ITEM_VECTORS, SOURCE_VECTORS, *second)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        from llmrec_jax.text.item_text import item_sentences

        target = item_sentences(corpus.load(self.corpus, self.data_dir, run).items, self.item_fields)
        sources, n_items = run[SENTENCES], run[SOURCE_FACTS]['items']
        second = [] if self.dropped_words is None else drop_words(sources, self.dropped_words, self.seed)
        vectors = self.encoder.encode([*target, *sources, *second])
        if self.centred:
            vectors = centred(vectors, [len(target), *n_items, *(n_items if second else [])])
        parts = np.split(vectors, [len(target), len(target) + len(sources)])
        for artifact, part in zip(self.writes, parts, strict=False):
            run.put(artifact, part)
        return {
            'encoder': self.encoder.name,
            'dim': int(vectors.shape[1]),
            'sha256': hashlib.sha256(vectors.tobytes()).hexdigest(),
            'example_sentence': target[0],
        }


@dataclasses.dataclass(frozen=True)
class CodeItems(Stage):
    """Codes all items by codebooks of the sources' texts (VQ-Rec's strict mode).

    Attributes:
      quantizer: from the sources' item vectors to codebooks.
      sources: whose vectors.
      encoder: name of what the vectors came from, for the provenance of the codes.
      seed: of the quantizer.
    """

    quantizer: OptimizedProductQuantizer
    sources: SourceItems
    encoder: str
    seed: int
    name: ClassVar[str] = 'codes'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (DOMAINS, SOURCE_VECTORS, ITEM_VECTORS)
    writes: ClassVar = (SOURCE_CODES, TARGET_CODES)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        of_sources = self.sources.vectors(run)
        codebooks, lost = self.quantizer.fit(of_sources, self.seed)
        shared = {}
        for artifact, vectors in ((SOURCE_CODES, of_sources), (TARGET_CODES, run[ITEM_VECTORS])):
            codes = code_items(vectors, codebooks, {'encoder': self.encoder})
            run.put(artifact, codes)
            domain = pathlib.PurePosixPath(artifact.path).stem
            shared[domain] = codes.indistinguishable
            LOG.info('codes of %s: %d of %d items share all', domain, codes.indistinguishable, len(vectors))
        return {'relative_error': lost[-1], 'items_that_share_all_codes': shared}


def whole_histories(train: Sequences, max_items: int) -> dict[str, Sequences]:
    """The newest `max_items + 1` items of each history of two and more, and whose it is (for ZESRec).

    Users are numbered anew, because those of a shorter history predict nothing.
    """
    users = np.flatnonzero(train.lengths > 1)
    counts = np.minimum(train.lengths[users], max_items + 1)
    return {
        ITEMS: _ending_before(train.values + 1, train.offsets[1:][users], counts),
        USER: Sequences(np.arange(len(users)), np.arange(len(users) + 1)),
    }


def _ending_before(
    values: Int[np.ndarray, 'events'], ends: Int[np.ndarray, 'rows'], counts: Int[np.ndarray, 'rows']
) -> Sequences:
    """The `counts` values before each of `ends`."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    return Sequences(values[np.repeat(ends - counts, counts) + within], offsets)
