"""What systems share whose model reads whole histories and scores every item of a catalogue."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.evaluation.report.report_data import PublishedRow
from llmrec_jax.evaluation.sampled_protocol import SampledProtocol
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.planning.workload import DecodingSizes, Workload, sequential_workload
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage
from llmrec_jax.runs.system import EngineTask, System
from llmrec_jax.stages import rank
from llmrec_jax.stages.catalogue_network import CatalogueNetwork
from llmrec_jax.stages.catalogue_ranking import CatalogueRetrieval
from llmrec_jax.stages.corpus import CORPUS_FACTS, PrepareCorpus
from llmrec_jax.stages.learning_curves import learning_curves
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.stages.rank import Evaluate, Ranking, Retrieval, TrainedRecommender
from llmrec_jax.stages.ranking_report import RankingReport
from llmrec_jax.stages.sampled import MeasureSampled, MeasureSampledBaselines
from llmrec_jax.stages.tasks import MaterialiseTask, examples
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.trainer import Trainer
from tasks.sequential import SequentialTask


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogueSystem(System):
    """What is run, and where; a system adds what makes it differ, and lists its stages.

    Attributes:
      corpus: the interactions and the catalogue.
      data_dir: where TFDS keeps the prepared corpus.
      task: the SeqIO task that is trained on.
      network: the encoders and their loss, for whatever catalogue the corpus has.
      trainer: the embedded engine.
      ranking: how it is compared.
      sampled: protocols with drawn negatives that the baselines and the model are measured under too, apart
        from the whole catalogue.
      ranking_batch_size: users whose scores of the whole catalogue are held at once.
      ranking_length_buckets: shorter lengths that a batch of short histories may be padded to; each costs a
        compilation.
      published: rows of the literature for the report; not measured here.

    Raises:
      ValueError: when the parts do not fit one another.
    """

    PLANNED: ClassVar = ('network', 'trainer', 'ranking', 'ranking_batch_size')

    corpus: CorpusSource
    data_dir: str = marks.without_effect()
    task: SequentialTask
    network: SequentialRecommenderModel
    trainer: Trainer
    ranking: Ranking
    sampled: tuple[SampledProtocol, ...] = ()
    ranking_batch_size: int = marks.without_effect(256)
    ranking_length_buckets: tuple[int, ...] = marks.without_effect(())
    published: tuple[PublishedRow, ...] = marks.without_effect(())

    def __post_init__(self):
        kind = type(self).__name__
        # gin hands over lists.
        for name in ('sampled', 'ranking_length_buckets', 'published'):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(set(self.sampled)) < len(self.sampled):
            raise ValueError(f'{kind}.sampled names a protocol twice; name each once')
        if dict(self.trainer.feature_lengths) != self.task.feature_lengths:
            raise ValueError(
                f'Trainer.feature_lengths={dict(self.trainer.feature_lengths)} must be '
                f'{self.task.feature_lengths}, one more than SequentialTask.max_items'
            )
        if any(not 0 < bucket <= self.task.max_items for bucket in self.ranking_length_buckets):
            raise ValueError(
                f'{kind}.ranking_length_buckets={self.ranking_length_buckets} must lie between 1 '
                f'and SequentialTask.max_items={self.task.max_items}'
            )

    @property
    def seen_items(self) -> str:
        """See `System.seen_items`."""
        return self.ranking.seen_items

    @property
    def prepare_corpus(self) -> PrepareCorpus:
        """The stage of the corpus, split as the task is."""
        return PrepareCorpus(corpus=self.corpus, data_dir=self.data_dir, split=self.task.split)

    @property
    def item_vectors(self) -> Artifact[np.ndarray] | None:
        """Embeddings of the items' text, where the network reads them."""
        return None

    @property
    def retrieval(self) -> CatalogueRetrieval:
        """How the network ranks the whole catalogue."""
        network = CatalogueNetwork(self.network, self.item_vectors)
        return CatalogueRetrieval(
            Parameters(network, self.trainer, self.checkpoint),
            self.task.max_items,
            self.ranking_batch_size,
            self.ranking_length_buckets,
        )

    @property
    def served(self) -> Retrieval:
        """How the system answers users; what is evaluated and asked."""
        return self.retrieval

    def sampled_baselines(self) -> list[Stage]:
        """The baselines among drawn items, where protocols ask for it."""
        if not self.sampled:
            return []
        return [MeasureSampledBaselines(protocols=self.sampled, seed=self.ranking.seed)]

    def evaluation(self) -> list[Stage]:
        """The trained system on the whole catalogue, and among drawn items where protocols ask for it."""
        ranking = self.ranking
        whole = Evaluate(
            system=self.name,
            retrieval=self.served,
            draw=ranking.draw,
            list_length=ranking.list_length,
            seen_items=ranking.seen_items,
        )
        if not self.sampled:
            return [whole]
        drawn = MeasureSampled(
            system=self.name, retrieval=self.retrieval, protocols=self.sampled, seed=ranking.seed
        )
        return [whole, drawn]

    def model(self, run: Run) -> SequentialRecommenderModel:
        """See `System.model`."""
        return self.retrieval.parameters.network.model(run)

    def recommender(self, run: Run) -> TrainedRecommender:
        """See `System.recommender`."""
        return rank.trained(self.served, run)

    @classmethod
    def workload(cls, parts: Mapping[str, Any], sizes: DecodingSizes) -> Workload:
        """See `System.workload`; of transfer it is fine-tuning that is planned."""
        return sequential_workload(
            parts['network'],
            parts['trainer'],
            sizes,
            users=parts['ranking_batch_size'],
            list_length=parts['ranking'].list_length,
        )

    def engine_task(self, run: Run) -> EngineTask:
        """See `System.engine_task`."""
        import seqio

        name = self.task.register()
        vocabulary = seqio.get_mixture_or_task(name).output_features[ITEMS].vocabulary
        model = dataclasses.replace(
            self.model(run),
            input_vocabulary=vocabulary,
            output_vocabulary=vocabulary,
            list_length=max(self.ranking.list_length, max(self.ranking.ks) + 1),
            seen_items=self.seen_items,
        )
        return EngineTask(
            model=model,
            trainer=self.engine_trainer(run),
            trained=name,
            evaluated=name,
            feature_lengths=self.task.feature_lengths,
            decoding_batch_size=self.ranking_batch_size,
            examples=lambda split: run[examples(split)],
            provenance={'corpus': run[CORPUS_FACTS]['fingerprint']},
            target_feature=ITEMS,
        )

    def engine_trainer(self, run: Run) -> Trainer:
        """The trainer of another engine, which begins with what stages before training made."""
        del run
        return self.trainer

    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """See `System.report`."""
        RankingReport(
            system=self.name,
            corpus=self.corpus.name,
            ranking=self.ranking,
            stages=self.stages(),
            split=self.task.split,
            published=self.published,
            curves=learning_curves(run.root, self.trainer.best_metric),
        ).write(run, records)


@dataclasses.dataclass(frozen=True)
class WriteHistories(MaterialiseTask):
    """The training histories as examples; attributes as in `MaterialiseTask`.

    Validation and test are asked from the corpus's own splits, which every system is asked from.
    """

    def told(self, stores: Mapping[str, ColumnStore]) -> dict[str, Any]:
        """See `MaterialiseTask.told`."""
        predictions = stores['train'].lengths(ITEMS) - 1
        return {'predictions': int(predictions.sum()), 'mean_input_items': float(predictions.mean())}
