"""The stage that prepares a corpus, and what every system reads of one."""

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource, identity
from llmrec_jax.corpora.splits import (
    RankingCases,
    Splits,
    check_histories,
    leave_last_out,
    load_splits,
    save_splits,
)
from llmrec_jax.runs.artifact import Artifact, json_artifact
from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.catalogue_file import ShownItems, load_catalogue, save_catalogue
from llmrec_jax.subsets import draw_rows

if TYPE_CHECKING:
    from llmrec_jax.corpora.corpus import Corpus

SPLITS: Artifact[Splits] = Artifact('splits.npz', load=load_splits, save=save_splits)
CATALOGUE: Artifact[ShownItems] = Artifact('catalogue.jsonl', load=load_catalogue, save=save_catalogue)
USER_IDS: Artifact[list[str]] = json_artifact('user_ids.json')
CORPUS_FACTS = facts_of('corpus')


@dataclasses.dataclass(frozen=True)
class PrepareCorpus(Stage):
    """Prepares the corpus in TFDS and splits it, leave-last-out.

    Attributes:
      corpus: its source.
      data_dir: where TFDS keeps it.
    """

    corpus: CorpusSource = marks.described_by(identity)
    data_dir: str = marks.without_effect()
    name: ClassVar[str] = 'corpus'
    phase: ClassVar[Phase] = 'prepare'
    writes: ClassVar = (SPLITS, CATALOGUE, USER_IDS)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        corpus = load(self.corpus, self.data_dir, run)
        check_histories(corpus)
        run.put(SPLITS, leave_last_out(corpus))
        run.put(CATALOGUE, ShownItems.of(corpus.items))
        run.put(USER_IDS, list(corpus.users.user_id))
        lengths = np.diff(corpus.user_offsets)
        return {
            'name': corpus.name,
            'users': len(corpus.users),
            'items': len(corpus.items),
            'events': len(corpus.events),
            'mean_history': float(lengths.mean()),
            'median_history': float(np.median(lengths)),
            'fingerprint': corpus.fingerprint(),
            'provenance': dict(corpus.provenance),
        }


def load(source: CorpusSource, data_dir: str, run: Run) -> 'Corpus':
    """The corpus in memory, read once in a process; written to `data_dir` first if it is not there.

    Imports TensorFlow.
    """

    def read() -> 'Corpus':
        import tensorflow_datasets as tfds

        from llmrec_jax.corpora.prepare import prepared_corpus

        tfds.disable_progress_bar()
        return prepared_corpus(source, data_dir)

    return run.once(('corpus', data_dir, repr(source)), read)


@dataclasses.dataclass(frozen=True)
class CaseDraw:
    """Whose next item is asked for: all test users, and of the validation users as many as are wanted.

    Attributes:
      validation_users: drawn once, the same at every step of training and for every system; None for all.
      seed: of the draw.
    """

    validation_users: int | None = None
    seed: int = 0

    def cases(self, splits: Splits, split: str) -> RankingCases:
        """The cases of 'validation' or 'test'."""
        cases = getattr(splits, split)
        return cases if split != 'validation' else drawn_cases(cases, self.validation_users, self.seed)


def drawn_cases(cases: RankingCases, wanted: int | None, seed: int) -> RankingCases:
    """So many of the cases, drawn by a seed, in their order; all where fewer are there or None is wanted."""
    return cases.select(draw_rows(len(cases), wanted, seed))
