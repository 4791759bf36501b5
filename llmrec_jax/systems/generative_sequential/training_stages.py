"""Stages before training: histories packed into rows, a teacher, and what it would recommend in them."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from llmrec_jax import files, marks
from llmrec_jax.corpora.augmentation import CropAndShuffle
from llmrec_jax.models.generative_sequential.item_level import ItemLevelModel
from llmrec_jax.models.generative_sequential.model import TARGETS
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.runs.artifact import Artifact, json_artifact, place
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.runs.trained import answering
from llmrec_jax.stages import tasks
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.stages.train import TrainApart
from llmrec_jax.training import processes
from llmrec_jax.training.column_writer import Block, ColumnWriter
from llmrec_jax.training.columns import ColumnStore, write_columns
from llmrec_jax.training.packing import pack
from llmrec_jax.training.trainer import CHECKPOINTS, Trainer

PACKED_EXAMPLES: Artifact[ColumnStore] = tasks.examples('packed')
TAUGHT_EXAMPLES: Artifact[ColumnStore] = tasks.examples('taught')
# The name of a stage, and of the folder that it trains in.
TEACHER = 'teacher'


def _best_checkpoint(path: pathlib.Path) -> pathlib.Path:
    return path.parent / json_artifact(path.name).load(path)['checkpoint']


# The teacher's parameters, which training starts from.
TEACHER_START: Artifact[pathlib.Path] = Artifact(f'{TEACHER}/start.json', load=_best_checkpoint)


@dataclasses.dataclass(frozen=True)
class Teacher:
    """An item-level model with the same encoders, trained first: training starts from it and learns from it.

    In each of `copies` of the training rows, a share of the targets are replaced by items that the teacher
    would recommend there.

    Attributes:
      trainer: the engine of its training.
      best: how many of its best unseen items are drawn from.
      share: of the targets that are replaced.
      temperature: divides its scores before the softmax that is drawn from.
      copies: of the training rows, each with draws of its own.

    Raises:
      ValueError: when a number is out of its range.
    """

    trainer: Trainer
    best: int = 50
    share: float = 0.5
    temperature: float = 1.0
    copies: int = 8

    def __post_init__(self):
        if self.best < 1 or self.copies < 1:
            raise ValueError(f'Teacher.best={self.best} and Teacher.copies={self.copies} must be at least 1')
        if not 0 <= self.share <= 1 or not self.temperature > 0:
            raise ValueError(
                f'Teacher.share={self.share} must lie in [0, 1], and Teacher.temperature={self.temperature} '
                'above 0'
            )


@dataclasses.dataclass(frozen=True)
class PackHistories(Stage):
    """Puts several histories into one row, each item beside the one that follows it.

    Rows are full but for a tenth, where histories padded one by one to their longest would be mostly padding.

    Attributes:
      row_length: items of a row; at least those of the longest history.
      seed: of the order in which histories are packed, and of the copies.
      augmentation: makes copies of histories, which are packed with them; None for none.
    """

    row_length: int
    seed: int = 0
    augmentation: CropAndShuffle | None = marks.silent_default(None)
    name: ClassVar[str] = 'packing'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (tasks.examples('train'),)
    writes: ClassVar = (PACKED_EXAMPLES,)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        store = run[tasks.examples('train')]
        order = np.random.default_rng(self.seed).permutation(len(store))
        histories = self._with_copies(store, order)
        lengths = {ITEMS: self.row_length, TARGETS: self.row_length}
        rows = list(pack((_shifted(tokens) for tokens in histories if len(tokens) > 1), lengths))
        packed = write_columns(
            run.path(PACKED_EXAMPLES),
            {name: [row[name] for row in rows] for name in rows[0]},
            {**store.manifest['provenance'], 'row_length': self.row_length, 'seed': self.seed},
        )
        targets = int(packed.lengths(TARGETS).sum())
        return {
            'rows': len(packed),
            'predictions': targets,
            'filled': targets / (len(packed) * self.row_length),
        }

    def _with_copies(
        self, store: ColumnStore, order: Int[np.ndarray, 'histories']
    ) -> Iterator[Int[np.ndarray, '_']]:
        for row in order.tolist():
            yield store[row][ITEMS]
        if self.augmentation is None:
            return
        for number in range(self.augmentation.copies):
            for row in order.tolist():
                # Each copy by a key of its own, whatever the order.
                rng = np.random.default_rng([self.seed, number, row])
                yield self.augmentation.copy(store[row][ITEMS], rng)


def _shifted(tokens: np.ndarray) -> Mapping[str, np.ndarray]:
    return {ITEMS: tokens[:-1], TARGETS: tokens[1:]}


@dataclasses.dataclass(frozen=True)
class TrainTeacher(TrainApart):
    """Trains the item-level model, an `ItemLevelModel`; see `TrainApart`."""

    name: ClassVar[str] = TEACHER
    examples: ClassVar[Artifact[ColumnStore]] = PACKED_EXAMPLES
    writes: ClassVar = (place(f'{TEACHER}/{CHECKPOINTS}'), TEACHER_START)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        facts = super().run(run)
        best = str(pathlib.Path(answering(facts)).relative_to(TEACHER))
        processes.from_first(lambda: files.write_json(run.path(TEACHER_START), {'checkpoint': best}))
        return facts


@dataclasses.dataclass(frozen=True)
class TeacherParameters(Parameters):
    """The parameters that the teacher answers with; attributes as in `Parameters`."""

    trained_by: ClassVar[str] = TEACHER


@dataclasses.dataclass(frozen=True)
class TeachTargets(Stage):
    """Writes the training rows with some targets replaced by what the teacher would recommend.

    Attributes:
      parameters: the teacher's.
      best: see `Teacher`.
      share: see `Teacher`.
      temperature: see `Teacher`.
      copies: see `Teacher`.
      seed: of the draws.
      rows_at_once: rows whose scores of all items are held at once.
    """

    parameters: TeacherParameters
    best: int
    share: float
    temperature: float
    copies: int
    seed: int
    rows_at_once: int = marks.without_effect(32)
    name: ClassVar[str] = 'teaching'
    phase: ClassVar[Phase] = 'prepare'
    writes: ClassVar = (TAUGHT_EXAMPLES,)

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (PACKED_EXAMPLES, *self.parameters.reads)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        store, model = run[PACKED_EXAMPLES], self.parameters.network.model(run)
        params = self.parameters.restore(run)
        width = max(store.longest(ITEMS)[0], 1)
        rng = np.random.default_rng(self.seed)
        replaced = 0
        with ColumnWriter(run.path(TAUGHT_EXAMPLES), store.features) as writer:
            for start in range(0, len(store), self.rows_at_once):
                rows = np.arange(start, min(start + self.rows_at_once, len(store)))
                batch = store.batch(np.resize(rows, self.rows_at_once), dict.fromkeys(store.features, width))
                found = _best_unseen(model, params, model.convert_features(batch), self.best)
                items, scores = (part[: len(rows)] for part in jax.device_get(found))
                lengths = store.lengths(ITEMS, rows)
                real = np.arange(width) < lengths[:, None]
                kept = {name: part[: len(rows)] for name, part in batch.items()}
                for _ in range(self.copies):
                    taught = replaced_targets(
                        kept[TARGETS], items, scores / self.temperature, self.share, rng
                    )
                    replaced += int((taught != kept[TARGETS])[real].sum())
                    columns = {**kept, TARGETS: taught}
                    writer.append({name: Block(part[real], lengths) for name, part in columns.items()})
            writer.finish({**store.manifest['provenance'], 'copies': self.copies, 'seed': self.seed})
        return {'copies': self.copies, 'replaced': replaced / (self.copies * int(store.lengths(ITEMS).sum()))}


def replaced_targets(
    targets: Int[np.ndarray, 'rows width'],
    items: Int[np.ndarray, 'rows width best'],
    scores: Float[np.ndarray, 'rows width best'],
    share: float,
    rng: np.random.Generator,
) -> Int[np.ndarray, 'rows width']:
    """Targets, each replaced with a probability by a draw from the softmax over some items' scores.

    Args:
      targets: tokens; 0 stays.
      items: to draw from at each position.
      scores: theirs, descending; -inf for what is not drawn.
      share: probability of a replacement.
      rng: draws.
    """
    # Where nothing is left to recommend, there is no best score to take the others from.
    best = np.where(np.isfinite(scores[..., :1]), scores[..., :1], 0.0)
    weights = np.exp(scores - best)
    cumulative = np.cumsum(weights, axis=-1)
    drawn = rng.random(targets.shape) * cumulative[..., -1]
    places = np.minimum((cumulative <= drawn[..., None]).sum(axis=-1), items.shape[-1] - 1)
    replacements = np.take_along_axis(items, places[..., None], axis=-1)[..., 0] + 1
    chosen = (rng.random(targets.shape) < share) & (targets != 0) & np.isfinite(scores[..., 0])
    return np.where(chosen, replacements, targets).astype(targets.dtype)


@functools.partial(jax.jit, static_argnames=('model', 'best'))
def _best_unseen(
    model: ItemLevelModel, params: PyTree[Array], batch: Mapping[str, Array], best: int
) -> tuple[Int[Array, 'rows width best'], Float[Array, 'rows width best']]:
    return model.best_unseen(params, batch, best)
