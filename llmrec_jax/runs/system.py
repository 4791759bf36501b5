"""A system: what a gin file configures, and the one door by which every launcher and engine enters it."""

import abc
import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from llmrec_jax import marks
from llmrec_jax.evaluation.metric_functions import MeasuredTask
from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.evaluation.text_writer import TextWriter
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.runs.trained import trained_checkpoint
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.train_state import TrainableModel
from llmrec_jax.training.trainer import Trainer


@dataclasses.dataclass(frozen=True, kw_only=True)
class System(abc.ABC):
    """A recommender system as a recipe; a subclass is a frozen dataclass that gin configures.

    Launchers find it by this base class: no list names the systems that there are.

    Attributes:
      workdir: folder of everything the run makes.
      name: what the system is called in results and report.
      checkpoint: a folder `checkpoint_<step>` to take parameters from in place of the best that was trained
        in the workdir, ours or T5X's, local or `gs://`; the launchers' `--checkpoint`.
      PLANNED: names of the fields that `workload` asks for.
    """

    PLANNED: ClassVar[tuple[str, ...]] = ()

    workdir: str = marks.without_effect()
    name: str
    checkpoint: str | None = None

    @property
    def seen_items(self) -> str:
        """Whether items of a history are 'kept' among the recommended or 'removed', by default."""
        return 'kept'

    @property
    def run(self) -> Run:
        """The system's workdir, opened anew."""
        return Run(self.workdir)

    @abc.abstractmethod
    def stages(self) -> Sequence[Stage]:
        """What is done, one that is read from before those that read it; what is switched off is left out."""

    def model(self, run: Run) -> TrainableModel | None:
        """The trained model, with what of it was made in the workdir; None for a system that trains none."""
        del run
        return None

    def trained_checkpoint(self, run: Run) -> str | os.PathLike:
        """The checkpoint that the system answers with: the one that is named, or the best of the run's.

        Raises:
          FileNotFoundError: when none is named and training is not done.
        """
        if self.checkpoint is not None:
            return self.checkpoint
        return run.root / trained_checkpoint(run)

    def vocabulary(self, run: Run) -> TextVocabulary | None:
        """The vocabulary of the model's texts; None for a model that reads none.

        Raises:
          FileNotFoundError: when the run has not made it yet.
        """
        del run
        return None

    def recommender(self, run: Run) -> Recommender | None:
        """Answers histories with ranked items; None for a system that ranks no catalogue."""
        del run
        return None

    def text_writer(self, run: Run) -> TextWriter | None:
        """Answers texts by texts; None for a system that is not asked so.

        Raises:
          ValueError: when what it needs was not kept.
        """
        del run
        return None

    def engine_task(self, run: Run) -> 'EngineTask | None':
        """What another engine is given, as T5X; None for a system that trains no model.

        Registers the system's SeqIO tasks in this process, and so imports TensorFlow.

        Args:
          run: the workdir, where the stages before training are done.
        """
        del run
        return None

    def evaluate_task(self, run: Run, name: str, split: str) -> Mapping[str, MeasuredTask]:
        """Asks the trained model a SeqIO task or mixture of the user's own, by that task's metrics.

        Args:
          run: the workdir, where training is done or a checkpoint is named.
          name: in SeqIO's registries.
          split: which examples.

        Returns:
          Name of a task to what was reached on it.

        Raises:
          ValueError: where the system writes no text.
        """
        raise ValueError(f'--task={name} is for systems that write text; {self.name} recommends items')

    @classmethod
    def workload(cls, parts: Mapping[str, Any], sizes: Any) -> Any:
        """What `llmrec_jax.plan` compiles: the model, how it is trained, and how it is decoded.

        Args:
          parts: the fields that `PLANNED` names, as the gin files bind them or by their defaults; no corpus
            is read.
          sizes: a `planning.workload.DecodingSizes`: what a corpus would say.

        Returns:
          A `planning.workload.Workload`.

        Raises:
          ValueError: where there is nothing to plan.
        """
        raise ValueError(f'{cls.__name__} trains no model that could be planned')

    @abc.abstractmethod
    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """Writes `results.json` and `report.html` of what is done, and says it on the terminal."""


@dataclasses.dataclass(frozen=True, eq=False)
class EngineTask:
    """A system as another engine trains and asks it.

    Attributes:
      model: with its vocabularies, and with what its `predict_batch` searches and leaves out.
      trainer: the recipe's: batch, mesh, rules, optimizer, periods.
      trained: SeqIO's name of the task or mixture that is trained on; None where examples are given alone.
      evaluated: SeqIO's name of what is evaluated and inferred; likewise.
      feature_lengths: tokens of each feature of a full example.
      decoding_batch_size: examples decoded at once.
      examples: from a split to its materialised examples, the embedded engine's own.
      provenance: what examples are made from, beside what the task says itself.
      evaluated_split: of what is evaluated while it trains.
      target_feature: the feature of the task that holds what is to be predicted.
    """

    model: TrainableModel
    trainer: Trainer
    trained: str | None
    evaluated: str | None
    feature_lengths: Mapping[str, int]
    decoding_batch_size: int
    examples: Callable[[str], ColumnStore]
    provenance: Mapping[str, Any]
    evaluated_split: str = 'validation'
    target_feature: str = 'targets'


def named(system: System, phases: Collection[Phase]) -> list[str]:
    """Names of the stages of these phases."""
    return [stage.name for stage in system.stages() if stage.phase in phases]
