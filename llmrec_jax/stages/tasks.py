"""The stage that runs a SeqIO task once and keeps its examples, so that training imports no TensorFlow."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from llmrec_jax import marks
from llmrec_jax.corpora.split_rules import SplitRule
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.corpus import CORPUS_FACTS, check_split
from llmrec_jax.training.columns import ColumnStore


@runtime_checkable
class SeqioTask(Protocol):
    """A frozen dataclass that adds a task to SeqIO's registry, as `tasks.tiger.TigerTask`.

    Attributes:
      split: what of the corpus is held out.
    """

    split: SplitRule

    @property
    def feature_lengths(self) -> Mapping[str, int]:
        """Tokens of each feature of a full example."""

    def register(self) -> str:
        """Adds the task and returns its name; imports TensorFlow."""


def examples(split: str, folder: str = 'tasks') -> Artifact[ColumnStore]:
    """The materialised examples of a split."""
    return Artifact(f'{folder}/{split}', load=ColumnStore.open)


@dataclasses.dataclass(frozen=True)
class MaterialiseTask(Stage):
    """Keeps the examples of a task as columns.

    Attributes:
      task: whose examples.
      splits: which of them.
      kept: integer fields beside the task's features that go along.
      made_from: artifacts that the task reads by itself; their stages are needed.
    """

    task: SeqioTask
    splits: tuple[str, ...] = ('train',)
    kept: tuple[str, ...] = ('user',)
    made_from: tuple[Artifact[Any], ...] = marks.without_effect(())
    name: ClassVar[str] = 'tasks'
    phase: ClassVar[Phase] = 'prepare'

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (CORPUS_FACTS, *self.made_from)

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        return tuple(examples(split) for split in self.splits)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        from llmrec_jax.stages.materialise import materialise

        check_split(run, self.task.split)
        name = self.task.register()
        stores = {
            split: materialise(
                name,
                split,
                run.path(examples(split)),
                feature_lengths=self.task.feature_lengths,
                kept=self.kept,
                provenance=self.provenance(run),
            )
            for split in self.splits
        }
        counts = {split: len(store) for split, store in stores.items()}
        return {'task': name, 'examples': counts, **self.told(stores)}

    def provenance(self, run: Run) -> dict[str, Any]:
        """What the examples were made from, beside what the task says itself."""
        return {'corpus': run[CORPUS_FACTS]['fingerprint']}

    def told(self, stores: Mapping[str, ColumnStore]) -> dict[str, Any]:
        """What is to be told of the examples, by split, beside how many there are."""
        del stores
        return {}
