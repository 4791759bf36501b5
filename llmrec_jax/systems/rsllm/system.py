"""RSLLM (Zheng et al., arXiv 2412.16933) and LLaRA (Liao et al., arXiv 2312.02445).

A decoder reads each item's title and, behind it, the projected vector of a trained recommender, and writes
the title of the next one. The two differ by their curriculum and their contrastive losses.

| stage | makes |
|---|---|
| corpus | `splits.npz`, `catalogue.jsonl` |
| tasks | `tasks/train/`: whole histories, for the recommender |
| recommender, vectors | `recommender/checkpoints/`, `recommender_items.npy` |
| vocabulary | `vocabulary/`, `item_names.json` |
| prompts | `prompts/`: the prompts of all steps, in their order |
| start | `start/`: what training starts from, with the vectors in their table |
| train | `checkpoints/` |
| evaluate | lists of the candidates, first choices and their intervals |
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.report.report_data import PublishedRow, ReportData
from llmrec_jax.evaluation.report.system_names import system_label
from llmrec_jax.evaluation.results import Results
from llmrec_jax.models.inference import TextDecoder
from llmrec_jax.models.injected_decoder import InjectedDecoderModel
from llmrec_jax.models.injected_decoder.model import HISTORY, ITEMS, TARGET_ITEM
from llmrec_jax.models.injected_decoder.network import TABLE
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.planning.workload import DecodingSizes, GenerativeWorkload, Workload
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage
from llmrec_jax.runs.system import EngineTask, System
from llmrec_jax.stages.catalogue_network import CatalogueNetwork
from llmrec_jax.stages.catalogue_ranking import CatalogueRetrieval
from llmrec_jax.stages.catalogue_system import WriteHistories
from llmrec_jax.stages.corpus import CORPUS_FACTS, SPLITS, CaseDraw, PrepareCorpus
from llmrec_jax.stages.learning_curves import learning_curves
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel
from llmrec_jax.stages.prompt_tasks import vocabulary
from llmrec_jax.stages.rank import Ranking, trained
from llmrec_jax.stages.ranking_report import RankingReport
from llmrec_jax.stages.text_system import METRICS, LossValidation
from llmrec_jax.stages.train import Train
from llmrec_jax.systems.rsllm.choosing import (
    GENERATED,
    RANDOM,
    ChooseCandidates,
    Chooser,
    ChoosingRecommender,
    TestDraw,
)
from llmrec_jax.systems.rsllm.prompts import Curriculum, PromptForm
from llmrec_jax.systems.rsllm.training_stages import (
    START,
    InjectedNetwork,
    KeepVectors,
    MakePromptVocabulary,
    RecommenderParameters,
    TrainRecommender,
    WriteDecoderStart,
    WritePrompts,
    prompt_examples,
    prompts_of,
)
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.text.vocabulary_sources import VocabularySource
from llmrec_jax.training.optimizers import PartlyFrozen
from llmrec_jax.training.trainer import Trainer
from tasks.sequential import SequentialTask


@dataclasses.dataclass(frozen=True, kw_only=True)
class RsllmSystem(System):
    """What is run, and where.

    Attributes:
      task: what the recommender is trained on; its corpus is the system's.
      sequence_network: whose vectors of items the prompts hold: SASRec, GRU4Rec, Caser.
      sequence_trainer: its engine.
      sequence_name: what it is called in tables.
      form: of the prompts.
      text_vocabulary: of prompts and answers.
      curriculum: which share of the prompts hold vectors, by how much of training is done.
      network: the decoder and its losses.
      trainer: the decoder's engine.
      pretrained: a checkpoint of a decoder alone that training starts from; None for one drawn by a seed.
      decoder: how answers are written.
      ranking: how it is compared; seen items are never candidates.
      validation_users: whose next item validates; None for all.
      test_users: who is asked about, drawn by `ranking.seed`; None for all.
      answering_batch_size: cases asked at once.
      published: rows of the literature for the report; not measured here.

    Raises:
      ValueError: when the parts do not fit one another.
    """

    PLANNED: ClassVar = ('network', 'trainer', 'sequence_network')

    task: SequentialTask
    sequence_network: SequentialRecommenderModel
    sequence_trainer: Trainer
    sequence_name: str = 'sasrec'
    form: PromptForm = dataclasses.field(default_factory=PromptForm)
    text_vocabulary: VocabularySource
    curriculum: Curriculum
    network: InjectedDecoderModel
    trainer: Trainer
    pretrained: str | None = None
    decoder: TextDecoder
    ranking: Ranking
    validation_users: int | None = 1000
    test_users: int | None = None
    answering_batch_size: int = marks.without_effect(32)
    published: tuple[PublishedRow, ...] = marks.without_effect(())

    def __post_init__(self):
        wanted = {'inputs', 'targets', ITEMS, HISTORY, TARGET_ITEM}
        lengths = dict(self.trainer.feature_lengths)
        if lengths.keys() != wanted or lengths[ITEMS] != self.form.places:
            raise ValueError(
                f'Trainer.feature_lengths={lengths} must name {sorted(wanted)}, {ITEMS!r} of '
                f'PromptForm.max_history + candidates = {self.form.places}'
            )
        if self.ranking.list_length > self.form.candidates:
            raise ValueError(
                f'Ranking.list_length asks for {self.ranking.list_length} items of '
                f'{self.form.candidates} candidates; show more'
            )
        if self.ranking.seen_items != 'removed':
            raise ValueError(
                f"Ranking.seen_items={self.ranking.seen_items!r} must be 'removed': drawn beside a target "
                'are items that its user never had'
            )
        metric = self.trainer.best_metric
        if (metric.name, metric.mode) not in METRICS:
            raise ValueError(
                "RsllmSystem validates by the loss and the share of right tokens: BestMetric's name and mode "
                f"must be 'loss' and 'min', or 'accuracy' and 'max', not {metric.name!r} and {metric.mode!r}"
            )
        if self.trainer.initial_checkpoint is not None:
            raise ValueError(
                f'Trainer.initial_checkpoint={self.trainer.initial_checkpoint!r} must be None: give it as '
                'RsllmSystem.pretrained, which puts the vectors beside it'
            )
        for name in ('validation_users', 'test_users', 'answering_batch_size'):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f'RsllmSystem.{name}={getattr(self, name)} must be at least 1')

    @property
    def corpus(self) -> CorpusSource:
        """The interactions and the catalogue."""
        return self.task.corpus

    @property
    def seen_items(self) -> str:
        """See `System.seen_items`."""
        return self.ranking.seen_items

    @property
    def with_vectors(self) -> bool:
        """Whether the trained system is asked with vectors."""
        return self.curriculum.share(1.0) > 0

    @property
    def frozen_trainer(self) -> Trainer:
        """The trainer, whose optimizer leaves the recommender's vectors as they are."""
        return dataclasses.replace(self.trainer, optimizer=PartlyFrozen(self.trainer.optimizer, (TABLE,)))

    @property
    def parameters(self) -> Parameters:
        """What the trained system answers with."""
        network = InjectedNetwork(self.network, self.form, self.text_vocabulary)
        return Parameters(network, self.frozen_trainer, self.checkpoint)

    @property
    def retrieval(self) -> CatalogueRetrieval:
        """How the recommender answers."""
        parameters = RecommenderParameters(CatalogueNetwork(self.sequence_network), self.sequence_trainer)
        return CatalogueRetrieval(parameters, self.task.max_items)

    @property
    def draw(self) -> TestDraw:
        """Who is asked about."""
        return TestDraw(self.validation_users, self.ranking.seed, self.test_users)

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        retrieval, parameters = self.retrieval, self.parameters
        network, trainer = parameters.network, parameters.trainer
        return [
            PrepareCorpus(corpus=self.corpus, data_dir=self.task.data_dir, split=self.task.split),
            WriteHistories(task=self.task),
            TrainRecommender(
                retrieval.parameters.network, self.sequence_trainer, self.ranking.validation(retrieval)
            ),
            KeepVectors(retrieval),
            MakePromptVocabulary(self.text_vocabulary, self.form, self.network.module.config.vocab_size),
            WritePrompts(
                form=self.form,
                source=self.text_vocabulary,
                curriculum=self.curriculum,
                examples=trainer.steps * trainer.batch_size,
                order_seed=trainer.seed,
                draw=CaseDraw(self.validation_users, self.ranking.seed),
                feature_lengths=trainer.feature_lengths,
            ),
            WriteDecoderStart(network, trainer.seed, self.pretrained, trainer),
            Train(
                network=network,
                trainer=trainer,
                validation=LossValidation(prompt_examples('validation'), network, trainer),
                examples=prompt_examples('train'),
                start=START,
            ),
            ChooseCandidates(
                system=self.name,
                parameters=parameters,
                form=self.form,
                source=self.text_vocabulary,
                with_vectors=self.with_vectors,
                recommender=retrieval,
                recommender_name=self.sequence_name,
                decoder=self.decoder,
                input_length=trainer.feature_lengths['inputs'],
                draw=self.draw,
                list_length=self.ranking.list_length,
                batch_size=self.answering_batch_size,
            ),
        ]

    def model(self, run: Run) -> InjectedDecoderModel:
        """See `System.model`."""
        return self.parameters.network.model(run)

    def vocabulary(self, run: Run) -> TextVocabulary:
        """See `System.vocabulary`."""
        return run[vocabulary(self.text_vocabulary)]

    def recommender(self, run: Run) -> ChoosingRecommender:
        """The trained system over the recommender's best items."""
        prompts = prompts_of(run, self.form, self.text_vocabulary)
        network = PlacedModel(self.model(run), self.parameters.restore(run))
        length = self.trainer.feature_lengths['inputs']
        chooser = Chooser(
            network, prompts, self.decoder, length, self.with_vectors, self.answering_batch_size
        )
        return ChoosingRecommender(trained(self.retrieval, run), chooser)

    def engine_task(self, run: Run) -> EngineTask:
        """See `System.engine_task`; there is no SeqIO task, and training follows the materialised prompts.

        Their order is part of what is learned: how many hold vectors grows with the step.
        """
        model = dataclasses.replace(self.model(run), decode_fn=self.decoder, return_all_decodes=False)
        start = str(run.path(START).absolute())
        return EngineTask(
            model=model,
            trainer=dataclasses.replace(self.frozen_trainer, initial_checkpoint=start),
            trained=None,
            evaluated=None,
            feature_lengths=self.trainer.feature_lengths,
            decoding_batch_size=self.answering_batch_size,
            examples=lambda split: run[prompt_examples(split)],
            provenance={'corpus': run[CORPUS_FACTS]['fingerprint']},
        )

    @classmethod
    def workload(cls, parts: Mapping[str, Any], sizes: DecodingSizes) -> Workload:
        """See `System.workload`; the program that answers is a decoder's, and not planned."""
        dim = parts['sequence_network'].item_encoder.dim
        model = parts['network'].for_catalogue(sizes.items, dim, placeholder=1)
        return GenerativeWorkload(model, parts['trainer'])

    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """See `System.report`."""
        RsllmReport(
            system=self.name,
            corpus=self.corpus.name,
            ranking=self.ranking,
            stages=self.stages(),
            split=self.task.split,
            published=self.published,
            curves=learning_curves(run.root, self.trainer.best_metric),
            candidates=self.form.candidates,
            draw=self.draw,
        ).write(run, records)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RsllmReport(RankingReport):
    """The lists of the drawn candidates, whoever made them.

    Attributes:
      candidates: how many are drawn.
      draw: who is asked about.
    """

    candidates: int
    draw: TestDraw

    def results(self, run: Run, done: Mapping[str, StageRecord]) -> Results:
        """See `RankingReport.results`."""
        found = super().results(run, done)
        return dataclasses.replace(found, protocol={**found.protocol, 'drawn_candidates': self.candidates})

    def test_cases(self, run: Run) -> RankingCases:
        """See `RankingReport.test_cases`."""
        return self.draw.cases(run[SPLITS], 'test')

    def _data(self, run: Run, done: Mapping[str, StageRecord], results: Results) -> ReportData:
        called = system_label(self.system)
        return dataclasses.replace(
            super()._data(run, done, results),
            title=f'{called} on {self.corpus}',
            labels={
                self.system: f'{called}, by likelihood',
                f'{self.system}_{GENERATED}': f'{called}, what it wrote',
                RANDOM: 'A blind draw of the candidates',
            },
        )
