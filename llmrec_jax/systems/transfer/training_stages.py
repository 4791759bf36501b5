"""Trainings before the last: on the sources, of the target's names of codes; and the start of fine-tuning."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array, Int, PyTree

from llmrec_jax import marks
from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.transfer.frozen_tables import CODES, TEXT
from llmrec_jax.models.transfer.hierarchical import HierarchicalModel
from llmrec_jax.models.transfer.pretraining import ContrastivePretraining
from llmrec_jax.runs.artifact import Artifact, place
from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.runs.trained import answering
from llmrec_jax.stages import tasks
from llmrec_jax.stages.catalogue_network import CatalogueNetwork
from llmrec_jax.stages.catalogue_ranking import CatalogueRecommender, CatalogueRetrieval
from llmrec_jax.stages.catalogue_system import WriteHistories
from llmrec_jax.stages.corpus import SPLITS, CaseDraw, drawn_cases
from llmrec_jax.stages.item_vectors import ITEM_VECTORS
from llmrec_jax.stages.rank import RankStage, ranking_metrics
from llmrec_jax.stages.train import claim, told
from llmrec_jax.subsets import draw_rows
from llmrec_jax.systems.transfer.source_stages import PRETRAINING_EXAMPLES, TARGET_CODES, SourceItems
from llmrec_jax.systems.transfer.starting_parameters import drawn, transferred, whitened
from llmrec_jax.training import processes
from llmrec_jax.training.columns import ColumnStore, write_columns
from llmrec_jax.training.loop import Validate
from llmrec_jax.training.mesh import check_batch
from llmrec_jax.training.parameter_restore import load_params, restore_params
from llmrec_jax.training.start_checkpoint import write_parameters
from llmrec_jax.training.trainer import CHECKPOINTS, Trainer

# The names of two stages, and of the folders that they train in.
PRETRAINING, RENAMING = 'pretraining', 'renaming'
# The parameters that fine-tuning starts from.
START = place('start/checkpoint_0')
# The examples of the users that are fine-tuned on.
CHOSEN_EXAMPLES: Artifact[ColumnStore] = tasks.examples('chosen')


@dataclasses.dataclass(frozen=True)
class SourceValidation:
    """Recall and NDCG of the sources' validation items in the catalogue of all sources.

    Attributes:
      draw: how many are asked.
      ks: cut-offs.
      seen_items: 'kept' or 'removed'.
      max_items: the newest items of a history that are read.
      batch_size: users at once.
      length_buckets: shorter lengths that a batch of short histories may be padded to.
    """

    draw: CaseDraw
    ks: tuple[int, ...]
    seen_items: str
    max_items: int
    batch_size: int = marks.without_effect(256)
    length_buckets: tuple[int, ...] = marks.without_effect(())

    def validate(
        self, run: Run, sources: SourceItems, model: SequentialRecommenderModel, trainer: Trainer
    ) -> Validate:
        """From parameters and step to metrics.

        Args:
          run: the workdir.
          sources: whose items.
          model: of their catalogue.
          trainer: which shards the parameters.
        """
        cases = drawn_cases(sources.domains(run).validation, self.draw.validation_users, self.draw.seed)
        recommender = CatalogueRecommender(
            model=model,
            params=None,
            mesh=trainer.mesh.build(),
            rules=trainer.logical_axis_rules,
            max_items=self.max_items,
            batch_size=self.batch_size,
            length_buckets=self.length_buckets,
        )

        def validate(params: PyTree[Array], step: int) -> Mapping[str, float]:
            del step
            asked = recommender.with_params(params)
            ranks = asked.target_ranks(cases, max(self.ks), seen_items=self.seen_items)
            return ranking_metrics(ranks, self.ks)

        return validate


@dataclasses.dataclass(frozen=True)
class Pretrain(Stage):
    """Trains on the sources, judged by their own validation items.

    Attributes:
      model: what is trained.
      trainer: the engine.
      sources: what is learned from.
      validation: how it is judged.
      whitening: whether the adaptor starts as the whitening of the sources' vectors.
      seed: of the parameters that are drawn.
    """

    model: ContrastivePretraining | HierarchicalModel
    trainer: Trainer
    sources: SourceItems
    validation: SourceValidation
    whitening: bool
    seed: int
    name: ClassVar[str] = PRETRAINING
    phase: ClassVar[Phase] = 'prepare'
    on_all: ClassVar[bool] = True
    writes: ClassVar = (place(f'{PRETRAINING}/{CHECKPOINTS}'),)

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (PRETRAINING_EXAMPLES, *self.sources.reads)

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        del run
        self.trainer.check_devices()
        mesh, rules = self.trainer.mesh.build(), self.trainer.logical_axis_rules
        check_batch(mesh, rules, self.validation.batch_size)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        store, vectors = run[PRETRAINING_EXAMPLES], self.sources.vectors(run)
        model = self.model.for_catalogue(CatalogueFacts(len(vectors), vectors=vectors))
        if isinstance(model, HierarchicalModel):
            model = model.for_examples(len(store), int((store.lengths(ITEMS) - 1).sum()))

        def start() -> dict[str, Any]:
            params = drawn(model, self.sources.tables(run), self.seed)
            return whitened(params, model, vectors) if self.whitening else params

        scoring = model if isinstance(model, SequentialRecommenderModel) else model.recommender
        validate = self.validation.validate(run, self.sources, scoring, self.trainer)
        return _trained(run, PRETRAINING, self.trainer, model, store, start, validate)


@dataclasses.dataclass(frozen=True)
class LearnRenaming(Stage):
    """Learns which codewords of the sources the target's codes are (VQ-Rec, section 3.4).

    Attributes:
      network: the target's, with names of codes to learn.
      trainer: the engine.
      seed: of the parameters that are drawn.
    """

    network: CatalogueNetwork
    trainer: Trainer
    seed: int
    name: ClassVar[str] = RENAMING
    phase: ClassVar[Phase] = 'prepare'
    on_all: ClassVar[bool] = True
    writes: ClassVar = (place(f'{RENAMING}/{CHECKPOINTS}'),)

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (CHOSEN_EXAMPLES, TARGET_CODES, *self.network.reads, *_of_training(PRETRAINING))

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        del run
        self.trainer.check_devices()

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        model = self.network.model(run)

        def start() -> dict[str, Any]:
            params = drawn(model, _target_tables(run, coded=True), self.seed)
            return transferred(params, load_params(_last(run, PRETRAINING)))

        return _trained(run, RENAMING, self.trainer, model, run[CHOSEN_EXAMPLES], start, None)


@dataclasses.dataclass(frozen=True)
class WriteStart(Stage):
    """Writes the parameters that fine-tuning starts from: what was learned, or drawn for the rival.

    Attributes:
      network: the target's.
      coded: whether items are told by codes.
      learned_by: the stage whose parameters are taken over, 'pretraining' or 'renaming'; None for none.
      whitening: whether the adaptor starts as the whitening of the target's vectors, where nothing is taken
        over.
      seed: of the parameters that are drawn.
    """

    network: CatalogueNetwork
    coded: bool
    learned_by: str | None
    whitening: bool
    seed: int
    name: ClassVar[str] = 'start'
    phase: ClassVar[Phase] = 'prepare'
    on_all: ClassVar[bool] = True
    writes: ClassVar = (START,)

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        codes = (TARGET_CODES,) if self.coded else ()
        learned = () if self.learned_by is None else _of_training(self.learned_by)
        return (ITEM_VECTORS, *codes, *self.network.reads, *learned)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        model = self.network.model(run)
        params = drawn(model, _target_tables(run, coded=self.coded), self.seed)
        if self.learned_by is not None:
            params = transferred(params, load_params(_last(run, self.learned_by)))
        elif self.whitening:
            params = whitened(params, model, run[ITEM_VECTORS])
        write_parameters(params, run.path(START).parent)
        return {'pretrained': self.learned_by is not None}


@dataclasses.dataclass(frozen=True)
class WriteChosenHistories(WriteHistories):
    """The examples of all users, and beside them those of the share of users that are fine-tuned on.

    Attributes:
      training_users: share of the users, drawn by `seed`.
      seed: of the draw.
    """

    training_users: float = 1.0
    seed: int = 0

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        return (*super().writes, CHOSEN_EXAMPLES)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        facts, store = super().run(run), run[tasks.examples('train')]
        rows = chosen_rows(len(store), self.training_users, self.seed)
        chosen = write_columns(
            run.path(CHOSEN_EXAMPLES),
            {name: [store[row][name] for row in rows.tolist()] for name in store.features},
            {**store.manifest['provenance'], 'training_users': self.training_users, 'seed': self.seed},
        )
        predictions = int((chosen.lengths(ITEMS) - 1).sum())
        return {**facts, 'chosen_examples': len(chosen), 'predictions': predictions}


@dataclasses.dataclass(frozen=True)
class MeasureZeroShot(RankStage):
    """What the parameters that fine-tuning starts from are worth.

    Attributes:
      system: what they are called.
      retrieval: how they answer.
      draw: see `RankStage`.
      list_length: see `RankStage`.
    """

    system: str
    retrieval: CatalogueRetrieval
    draw: CaseDraw
    list_length: int
    name: ClassVar[str] = 'zero_shot'
    phase: ClassVar[Phase] = 'evaluate'
    on_all: ClassVar[bool] = True
    of_trained: ClassVar[bool] = True

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (SPLITS, START, *self.retrieval.reads)

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        self.retrieval.check(run)

    def systems(self, run: Run) -> tuple[Mapping[str, Recommender], dict[str, Any]]:
        """See `RankStage.systems`."""
        params = restore_params(run[START], self.retrieval.parameters.abstract(run))
        return {self.system: self.retrieval.blank(run).with_params(params)}, {}


def chosen_rows(rows: int, share: float, seed: int) -> Int[np.ndarray, 'chosen']:
    """A share of the rows, at least one, ascending; a larger share holds those of a smaller one.

    Args:
      rows: how many there are.
      share: of them.
      seed: of the draw.
    """
    return draw_rows(rows, max(1, round(rows * share)), seed)


def _trained(
    run: Run,
    name: str,
    trainer: Trainer,
    model: Any,
    store: ColumnStore,
    start: Callable[[], dict[str, Any]],
    validate: Validate | None,
) -> dict[str, Any]:
    """Trains in a folder of its own, or goes on where a killed run of the same recipe was."""
    folder = run.root / name
    processes.from_first(lambda: claim(folder, run.fingerprint))
    # Made again by a run that goes on, because it may have been killed while it was written.
    checkpoint = write_parameters(start(), folder / 'start')
    trainer = dataclasses.replace(trainer, initial_checkpoint=str(checkpoint))
    return told(trainer.fit(model, store, folder, validate=validate), run.root)


def _of_training(name: str) -> tuple[Artifact[Any], ...]:
    """What is read of a training before the last."""
    return (facts_of(name), place(f'{name}/{CHECKPOINTS}'))


def _last(run: Run, name: str) -> pathlib.Path:
    """The best checkpoint of a training before the last, its newest where nothing was validated."""
    return run.root / answering(run[facts_of(name)])


def _target_tables(run: Run, *, coded: bool) -> Mapping[str, np.ndarray]:
    """What fills the frozen tables of the target's items."""
    return {CODES: run[TARGET_CODES].codes} if coded else {TEXT: run[ITEM_VECTORS]}
