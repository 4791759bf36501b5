"""Generative retrieval with one position an item: a sequence encoder's states write the next item's codes.

| stage | makes |
|---|---|
| corpus | `splits.npz`, `catalogue.jsonl` |
| floors, ceiling, content | lists of what it is held against |
| item_vectors, co_occurrence | `item_vectors.npy` of texts, `co_occurrence_vectors.npy` of training events |
| semantic_ids | `code_table.npz`, `semantic_ids/` |
| tasks, packing | `tasks/train/`: whole histories; `tasks/packed/`: several to a row |
| teacher, teaching | `teacher/`; `tasks/taught/`: rows in which it replaced targets; where there is one |
| train | `checkpoints/` |
| evaluate, sampled | lists by beam search of the codes, and figures among drawn items |
| hybrid | lists of the teacher, and of the sum of both |
| unseen_items, diversity | recall of items without training events; lists at higher temperatures |
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from llmrec_jax.corpora.augmentation import CropAndShuffle
from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, CodedCatalogueFacts
from llmrec_jax.models.generative_sequential.item_level import ItemLevelModel
from llmrec_jax.models.generative_sequential.model import TARGETS, GenerativeSequentialModel
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.planning.decoding_programs import CatalogueScores, distinct_codes
from llmrec_jax.planning.workload import DecodingSizes, Workload
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage
from llmrec_jax.semantic_ids.co_occurrence import CoOccurrence
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.stages.baselines import MeasureContent, against
from llmrec_jax.stages.catalogue_ranking import CatalogueRetrieval
from llmrec_jax.stages.catalogue_system import CatalogueSystem, WriteHistories
from llmrec_jax.stages.diversity import Diversity
from llmrec_jax.stages.generative_studies import studies
from llmrec_jax.stages.hybrid import MeasureHybrid
from llmrec_jax.stages.item_vectors import EmbedItems
from llmrec_jax.stages.learning_curves import learning_curves
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.stages.rank import Retrieval
from llmrec_jax.stages.ranking_report import RankingReport
from llmrec_jax.stages.semantic_ids import pictures
from llmrec_jax.stages.train import Train
from llmrec_jax.stages.trained_items import EmbedTrainedItems, TrainedItems
from llmrec_jax.stages.unseen_items import UnseenItems
from llmrec_jax.systems.generative_sequential.item_stages import (
    CodedCatalogueNetwork,
    EmbedCoOccurrence,
    FittingQuantizer,
    LearnItemCodes,
)
from llmrec_jax.systems.generative_sequential.retrieval import (
    CodeBeamRetrieval,
    CodeBeams,
    MeasureSampledCodes,
)
from llmrec_jax.systems.generative_sequential.training_stages import (
    PACKED_EXAMPLES,
    TAUGHT_EXAMPLES,
    TEACHER_START,
    PackHistories,
    Teacher,
    TeacherParameters,
    TeachTargets,
    TrainTeacher,
)
from llmrec_jax.text.text_encoder import TextEncoder
from llmrec_jax.training.trainer import Trainer


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerativeSequential(CatalogueSystem):
    """What is run, and where; attributes as in `CatalogueSystem`, and

    Attributes:
      text_encoder: from item text to item vectors.
      item_fields: fields of an item that its sentence shows.
      co_occurrence: from training histories to item vectors.
      trained_items: item vectors of a trained recommender, taken in place of the co-occurrence's; None for
        those.
      text_weight: of the texts' vectors in what is quantized.
      co_occurrence_weight: of the co-occurrence's.
      quantizer: from both to codes; codebooks are smaller where the catalogue is small.
      semantic_id_seed: randomness of the quantizer.
      teacher: an item-level model that is trained first; None for none.
      augmentation: makes further training histories of the users' own; None for none.
      beam_size: prefixes that the search keeps at each level; at least as many as a list has items.
      unseen_items: what is asked about items without training events; None for nothing.
      diversity: what is asked about temperatures of the search; None for nothing.

    Raises:
      ValueError: when the parts do not fit one another.
    """

    PLANNED: ClassVar = (*CatalogueSystem.PLANNED, 'quantizer', 'beam_size')

    network: GenerativeSequentialModel
    text_encoder: TextEncoder
    quantizer: FittingQuantizer
    item_fields: tuple[str, ...] = ('title', 'brand', 'categories')
    co_occurrence: CoOccurrence = dataclasses.field(default_factory=CoOccurrence)
    trained_items: TrainedItems | None = None
    text_weight: float = 0.5
    co_occurrence_weight: float = 1.0
    semantic_id_seed: int = 0
    teacher: Teacher | None = None
    augmentation: CropAndShuffle | None = None
    beam_size: int = 20
    unseen_items: UnseenItems | None = None
    diversity: Diversity | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.beam_size < self.ranking.list_length:
            raise ValueError(
                f'GenerativeSequential.beam_size={self.beam_size} is below '
                f'Ranking.list_length={self.ranking.list_length}'
            )
        if self.teacher is not None and self.teacher.trainer.feature_lengths != self.trainer.feature_lengths:
            raise ValueError(
                f'Teacher.trainer.feature_lengths={self.teacher.trainer.feature_lengths} must be those of '
                f'GenerativeSequential.trainer, {self.trainer.feature_lengths}'
            )
        heads, width = self.network.heads, self.network.item_encoder.dim
        if heads.dim != width:
            raise ValueError(
                f'{type(heads).__name__}.dim={heads.dim} must be the width of the items, {width}'
            )
        if not heads.by_search and (self.unseen_items or self.diversity):
            raise ValueError(
                'GenerativeSequential.unseen_items and diversity ask a search of prefixes, which '
                f'{type(heads).__name__} has not: set both to None, or take AutoregressiveHeads'
            )

    def packed(self, trainer: Trainer) -> Trainer:
        """A trainer of rows that are packed."""
        length = trainer.feature_lengths[ITEMS] - 1
        return dataclasses.replace(trainer, feature_lengths={ITEMS: length, TARGETS: length})

    @property
    def parameters(self) -> Parameters:
        """What the network answers with."""
        return Parameters(CodedCatalogueNetwork(self.network), self.trainer, self.checkpoint)

    @property
    def retrieval(self) -> CatalogueRetrieval:
        """See `CatalogueSystem`: every item scored by the probability of its codes."""
        return CatalogueRetrieval(
            self.parameters, self.task.max_items, self.ranking_batch_size, self.ranking_length_buckets
        )

    @property
    def served(self) -> Retrieval:
        """See `CatalogueSystem`; heads that write all codes at once score every item."""
        if not self.network.heads.by_search:
            return self.retrieval
        return CodeBeamRetrieval(
            self.parameters,
            self.task.max_items,
            self.ranking_batch_size,
            self.ranking_length_buckets,
            beam_size=self.beam_size,
        )

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        ranking = self.ranking
        return [
            self.prepare_corpus,
            *against(self.corpus, ranking.draw, ranking.list_length, ranking.ks, self.task.split),
            *self.sampled_baselines(),
            EmbedItems(
                corpus=self.corpus,
                data_dir=self.data_dir,
                encoder=self.text_encoder,
                item_fields=self.item_fields,
            ),
            MeasureContent(draw=ranking.draw, list_length=ranking.list_length),
            EmbedCoOccurrence(self.co_occurrence)
            if self.trained_items is None
            else EmbedTrainedItems(self.trained_items),
            LearnItemCodes(
                quantizer=self.quantizer,
                seed=self.semantic_id_seed,
                encoder=self.text_encoder.name,
                example_seed=ranking.seed,
                text_weight=self.text_weight,
                co_occurrence_weight=self.co_occurrence_weight,
            ),
            WriteHistories(task=self.task),
            PackHistories(self.trainer.feature_lengths[ITEMS] - 1, self.trainer.seed, self.augmentation),
            *self._teaching(),
            Train(
                network=self.parameters.network,
                trainer=self.packed(self.trainer),
                validation=ranking.validation(self.served),
                examples=PACKED_EXAMPLES if self.teacher is None else TAUGHT_EXAMPLES,
                start=None if self.teacher is None else TEACHER_START,
            ),
            *self.evaluation(),
        ]

    @property
    def _taught_by(self) -> CatalogueRetrieval:
        """How the teacher ranks the whole catalogue."""
        network = CodedCatalogueNetwork(ItemLevelModel.of(self.network))
        parameters = TeacherParameters(network, self.packed(self.teacher.trainer))
        return dataclasses.replace(self.retrieval, parameters=parameters)

    def _teaching(self) -> list[Stage]:
        if self.teacher is None:
            return []
        teacher, parameters = self.teacher, self._taught_by.parameters
        validation = self.ranking.validation(self._taught_by)
        return [
            TrainTeacher(parameters.network, parameters.trainer, validation),
            TeachTargets(
                parameters,
                teacher.best,
                teacher.share,
                teacher.temperature,
                teacher.copies,
                teacher.trainer.seed,
            ),
        ]

    def evaluation(self) -> list[Stage]:
        """See `CatalogueSystem.evaluation`; with a teacher, beside it and beside the sum of both."""
        ranking = self.ranking
        # The first is of the whole catalogue; a protocol with drawn items asks for inner products after it.
        found = super().evaluation()[:1]
        if self.sampled:
            found.append(
                MeasureSampledCodes(
                    system=self.name,
                    retrieval=self.retrieval,
                    protocols=self.sampled,
                    seed=ranking.seed,
                )
            )
        if self.teacher is not None:
            found.append(
                MeasureHybrid(
                    first=self.retrieval,
                    second=self._taught_by,
                    second_name=f'{self.name}_teacher',
                    sum_name=f'{self.name}_and_teacher',
                    draw=ranking.draw,
                    list_length=ranking.list_length,
                    seen_items=ranking.seen_items,
                )
            )
        if not self.network.heads.by_search:
            return found
        return [*found, *studies(self.name, self.served, ranking, self.unseen_items, self.diversity)]

    def engine_trainer(self, run: Run) -> Trainer:
        """See `CatalogueSystem.engine_trainer`; it begins with the teacher, where there is one."""
        if self.teacher is None:
            return self.trainer
        return dataclasses.replace(self.trainer, initial_checkpoint=str(run[TEACHER_START].absolute()))

    @classmethod
    def workload(cls, parts: Mapping[str, Any], sizes: DecodingSizes) -> Workload:
        """See `System.workload`."""
        quantizer, trainer = parts['quantizer'], parts['trainer']
        codes = distinct_codes(tuple(quantizer.codebook_sizes), sizes.items)
        facts = CodedCatalogueFacts(
            n_items=sizes.items,
            train_counts=np.ones(sizes.items, np.float32),
            vectors=None,
            coded=CodedCatalogue.of(CodeTable(codes, tuple(quantizer.codebook_sizes))),
        )
        users = parts['ranking_batch_size'] if sizes.users is None else sizes.users
        [length] = trainer.feature_lengths.values()
        ranking = parts['ranking']
        if parts['network'].heads.by_search:
            decoding = CodeBeams(sizes.items, users, length - 1, parts['beam_size'], ranking.seen_items)
        else:
            decoding = CatalogueScores(sizes.items, users, length - 1, ranking.list_length)
        return Workload(parts['network'].for_catalogue(facts), trainer, decoding)

    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """See `System.report`."""
        RankingReport(
            system=self.name,
            corpus=self.corpus.name,
            ranking=self.ranking,
            split=self.task.split,
            stages=self.stages(),
            published=self.published,
            curves=learning_curves(run.root, self.trainer.best_metric),
            pictures=pictures(run),
        ).write(run, records)
