"""What a stage of a run is: a frozen dataclass whose fields are its configuration."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run

Phase = Literal['prepare', 'train', 'evaluate']


class StageError(RuntimeError):
    """A stage that cannot run; the message says what it lacks."""


class Stage(abc.ABC):
    """One step of a run.

    A subclass is a frozen dataclass. Its fields, all but those marked by `fingerprint.without_effect`, decide
    its fingerprint; so do the stages that write what it reads. What is done under the same fingerprint is
    not done again.

        @dataclasses.dataclass(frozen=True)
        class CountWords(Stage):
            name: ClassVar[str] = 'count_words'
            phase: ClassVar[Phase] = 'prepare'
            least: int = 2

            reads = (TEXTS,)
            writes = (COUNTS,)

            def run(self, run):
                counts = collections.Counter(' '.join(run[TEXTS]).split())
                run.put(COUNTS, {word: n for word, n in counts.items() if n >= self.least})
                return {'words': len(counts)}

    Attributes:
      name: also the name of its record under `<workdir>/stages`.
      phase: 'prepare' for what training and evaluation need, 'train', or 'evaluate' for what measures.
      on_all: whether all processes of a run do the work together; by default process 0 does it, and the
        others wait.
      reads: artifacts of other stages; those that write them come first.
      writes: artifacts that it leaves.
    """

    name: str
    phase: ClassVar[Phase]
    on_all: ClassVar[bool] = False
    reads: Sequence[Artifact[Any]] = ()
    writes: Sequence[Artifact[Any]] = ()

    @abc.abstractmethod
    def run(self, run: Run) -> dict[str, Any]:
        """Does the work, and returns what is to be told of it, as JSON.

        Args:
          run: gives what is read, `run[artifact]`, and takes what is written, `run.put(artifact, value)`.
        """

    def check(self, run: Run) -> None:  # noqa: B027 (most stages have nothing to find out)
        """Finds out before any work of any stage whether this one can run: sizes, devices, checkpoints.

        Raises:
          ValueError: when it cannot.
        """

    @property
    def facts(self) -> Artifact[dict[str, Any]]:
        """What `run` returned, once the stage is done."""
        return facts_of(self.name)


def needs(stage: Stage, stages: Sequence[Stage]) -> list[str]:
    """Names of the stages that write what a stage reads, in their order.

    Raises:
      StageError: when no stage before it writes an artifact that it reads.
    """
    read = {artifact.path for artifact in stage.reads}
    found = []
    for other in stages:
        if other is stage:
            break
        written = {other.facts.path, *(artifact.path for artifact in other.writes)}
        if read & written:
            found.append(other.name)
            read -= written
    if read:
        raise StageError(
            f'stage {stage.name!r} reads {min(read)}, which no stage before it writes: list the stage that '
            'does before it'
        )
    return found
