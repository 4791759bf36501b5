"""The stage that trains: from materialised examples to the best checkpoint, without TensorFlow."""

import dataclasses
import json
import logging
import operator
import os
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax

from llmrec_jax import files, marks
from llmrec_jax.runs.artifact import Artifact, place
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages import tasks, trained_codes
from llmrec_jax.stages.networks import Network, abstract_parameters, all_reads, parameter_count
from llmrec_jax.training import processes
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.loop import TrainResult, Validate
from llmrec_jax.training.metrics_log import TRAINING_TIME, VALIDATION
from llmrec_jax.training.parameter_restore import check_params, drawn_paths
from llmrec_jax.training.trainer import CHECKPOINTS, Trainer

LOG = logging.getLogger(__name__)
OWNER = 'training_stage.json'
PRODUCTS = (
    CHECKPOINTS,
    'metrics.jsonl',
    VALIDATION,
    TRAINING_TIME,
    'tensorboard',
    'training_input.json',
)


@runtime_checkable
class Validation(Protocol):
    """A frozen dataclass: the metrics that checkpoints are chosen by."""

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """Artifacts that it is made of."""

    def check(self, run: Run) -> None:
        """Finds out before any work whether it can be taken.

        Raises:
          ValueError: when it cannot.
        """

    def validate(self, run: Run) -> Validate:
        """From parameters and step to metrics."""


@dataclasses.dataclass(frozen=True)
class Train(Stage):
    """Trains a model, or goes on where a killed run of the same recipe was.

    Attributes:
      network: what is trained.
      trainer: the embedded engine.
      validation: None for none.
      examples: what it is trained on.
      start: the checkpoint that it begins with, where a stage makes one; None for what the trainer says.
    """

    network: Network = marks.described_by(operator.methodcaller('trained_part'))
    trainer: Trainer
    validation: Validation | None = None
    examples: Artifact[ColumnStore] = tasks.examples('train')
    start: Artifact[pathlib.Path] | None = None
    name: ClassVar[str] = 'train'
    phase: ClassVar[Phase] = 'train'
    on_all: ClassVar[bool] = True
    writes: ClassVar = (place(CHECKPOINTS), place('metrics.jsonl'))

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        of_validation = () if self.validation is None else self.validation.reads
        of_start = () if self.start is None else (self.start,)
        return (self.examples, *all_reads(self.network), *of_validation, *of_start)

    def check(self, run: Run) -> None:
        """See `Stage.check`.

        Raises:
          ValueError: when the devices cannot share the batch, or no checkpoint has what is frozen.
          CheckpointError: when the initial checkpoint is of another model.
        """
        self.trainer.check_devices()
        if self.start is None:
            self.trainer.check_start()
        if self.validation is not None:
            self.validation.check(run)
        initial = self.trainer.initial_checkpoint
        begun = any((run.root / CHECKPOINTS).glob('checkpoint_*'))
        known = all(run.has(artifact) for artifact in self.network.reads)
        if initial is not None and known and not begun:
            abstract = abstract_parameters(self.network.model(run), self.trainer)
            trainer = self.trainer
            drawn = drawn_paths(initial, abstract, trainer.fresh_parameters, trainer.trained)
            check_params(initial, abstract, drawn)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        processes.from_first(lambda: claim(run.root, run.fingerprint, goes_on=run.goes_on))
        processes.from_first(lambda: self.note_codes(run))
        model, trainer = self.network.model(run), self.trainer
        if self.start is not None:
            trainer = dataclasses.replace(trainer, initial_checkpoint=str(run[self.start]))
        validate = None if self.validation is None else self.validation.validate(run)
        examples, parameters = self.training_examples(run), parameter_count(model, trainer)
        LOG.info(
            '%d parameters, %d examples, %d steps of %d on %d %s devices',
            parameters, len(examples), trainer.steps, trainer.batch_size, jax.device_count(),
            jax.default_backend(),
        )  # fmt: skip
        result = trainer.fit(model, examples, run.root, validate=validate)
        return {**told(result, run.root), 'parameters': parameters}

    def note_codes(self, run: Run) -> None:
        """Says beside the checkpoints of the workdir what item codes they are of, if of any.

        Raises:
          CheckpointError: when they are of others than the run's.
        """
        note_codes(self.network, run, run.root)

    def training_examples(self, run: Run) -> ColumnStore:
        """What it is trained on."""
        return run[self.examples]


@dataclasses.dataclass(frozen=True)
class TrainApart(Stage):
    """Trains another model before the system's own, in a folder of the stage's name.

    Attributes:
      network: what is trained.
      trainer: the embedded engine.
      validation: how it is judged.
      examples: what it is trained on.
    """

    network: Network
    trainer: Trainer
    validation: Validation
    examples: ClassVar[Artifact[ColumnStore]]
    phase: ClassVar[Phase] = 'prepare'
    on_all: ClassVar[bool] = True

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (self.examples, *all_reads(self.network), *self.validation.reads)

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        self.trainer.check_devices()
        self.validation.check(run)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        folder = run.root / self.name
        processes.from_first(lambda: claim(folder, run.fingerprint))
        processes.from_first(lambda: note_codes(self.network, run, folder))
        validate = self.validation.validate(run)
        return told(
            self.trainer.fit(self.network.model(run), run[self.examples], folder, validate=validate), run.root
        )


def note_codes(network: Network, run: Run, folder: pathlib.Path) -> None:
    """`trained_codes.note` of a network that is trained in a folder, if it knows item codes."""
    if network.codes is not None:
        trained_codes.note(folder / CHECKPOINTS, run[network.codes])


def told(result: TrainResult, root: pathlib.Path) -> dict[str, Any]:
    """What training did, as JSON, its paths relative to the workdir."""
    return {
        name: os.path.relpath(value, root) if isinstance(value, pathlib.Path) else value
        for name, value in dataclasses.asdict(result).items()
    }


def claim(root: pathlib.Path, fingerprint: str, *, goes_on: bool = False) -> None:
    """Makes a folder of training this configuration's.

    Args:
      root: the folder.
      fingerprint: of the stage that trains there.
      goes_on: whether what another configuration trained here is gone on with; otherwise it is moved away.
    """
    owner = root / OWNER
    previous = json.loads(files.read_text(owner))['fingerprint'] if owner.exists() else None
    if goes_on:
        files.write_json(owner, {'fingerprint': fingerprint})
    elif previous != fingerprint:
        found = [name for name in PRODUCTS if (root / name).exists()]
        if found:
            aside = root / 'superseded' / (previous or 'unknown')[:12]
            LOG.info(
                'the training recipe changed: what it trained before is now in %s; '
                'to train on from there, move it back and give --go_on',
                aside,
            )
            aside.mkdir(parents=True, exist_ok=True)
            for name in found:
                os.replace(root / name, _free(aside / name))
        files.write_json(owner, {'fingerprint': fingerprint})


def _free(path: pathlib.Path) -> pathlib.Path:
    """`path`, or the first of `path.1`, `path.2`, ... that is not taken."""
    candidate, number = path, 0
    while candidate.exists():
        number += 1
        candidate = path.with_name(f'{path.name}.{number}')
    return candidate
