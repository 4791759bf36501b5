"""A system: what a gin file configures, and the one door by which every launcher and engine enters it."""

import abc
import dataclasses
from collections.abc import Collection, Sequence

from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.runs import execution
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.training.train_state import TrainableModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class System(abc.ABC):
    """A recommender system as a recipe; a subclass is a frozen dataclass that gin configures.

    Launchers find it by this base class: no list names the systems that there are.

    Attributes:
      workdir: folder of everything the run makes.
      name: what the system is called in results and report.
      checkpoint: a folder `checkpoint_<step>` to take parameters from in place of the best that was trained
        in the workdir, ours or T5X's, local or `gs://`; the launchers' `--checkpoint`.
    """

    workdir: str
    name: str
    checkpoint: str | None = None

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

    def recommender(self, run: Run) -> Recommender | None:
        """Answers histories with ranked items; None for a system that ranks no catalogue."""
        del run
        return None

    @abc.abstractmethod
    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """Writes `results.json` and `report.html` of what is done, and says it on the terminal."""


def named(system: System, phases: Collection[Phase]) -> list[str]:
    """Names of the stages of these phases."""
    return [stage.name for stage in system.stages() if stage.phase in phases]


def run_stages(system: System, run: Run, wanted: Collection[str] | None = None) -> list[StageRecord]:
    """Runs stages of a system; see `execution.execute`."""
    return execution.execute(run, system.stages(), wanted)
