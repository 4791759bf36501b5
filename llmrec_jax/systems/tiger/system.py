"""TIGER (Rajput et al., 2023): items are tuples of learned codes, and an encoder-decoder writes the next one.

| stage | makes | section |
|---|---|---|
| corpus | `splits.npz`, `catalogue.jsonl` | 4 |
| floors, ceiling, content | lists of what TIGER is held against | |
| item_vectors, semantic_ids | `item_vectors.npy`, `code_table.npz`, `semantic_ids/` | 3.1 |
| tasks | `tasks/<split>/`: user token and codes in, codes out | 3.2 |
| train | `checkpoints/` | 3.2 |
| evaluate | lists by beam search under the trie | 4.5 |
| unseen_items, diversity | recall of items without training events; lists at higher temperatures | 4.3 |
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.evaluation.metrics import mean_over_cases, recall_at_k
from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.evaluation.report.report_data import PublishedRow
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.planning.workload import DecodingSizes, Workload, search_workload
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage
from llmrec_jax.runs.system import EngineTask, System
from llmrec_jax.semantic_ids.quantization import Quantizer
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.stages import rank, tasks
from llmrec_jax.stages.baselines import MeasureContent, against
from llmrec_jax.stages.corpus import SPLITS, PrepareCorpus
from llmrec_jax.stages.diversity import Diversity
from llmrec_jax.stages.generative_retrieval import GenerativeRecommender, GenerativeRetrieval
from llmrec_jax.stages.generative_studies import studies
from llmrec_jax.stages.item_vectors import EmbedItems
from llmrec_jax.stages.learning_curves import learning_curves
from llmrec_jax.stages.networks import GenerativeNetwork, Parameters
from llmrec_jax.stages.rank import Evaluate, Ranking
from llmrec_jax.stages.ranking_report import RankingReport
from llmrec_jax.stages.semantic_ids import CODE_TABLE, SEMANTIC_ID_FACTS, LearnSemanticIds, pictures, trie_of
from llmrec_jax.stages.tasks import MaterialiseTask
from llmrec_jax.stages.train import Train
from llmrec_jax.stages.unseen_items import UnseenItems
from llmrec_jax.systems.tiger.shared_codebook import EmbedWithOthers, LearnSharedSemanticIds
from llmrec_jax.text.text_encoder import TextEncoder
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.trainer import Trainer
from tasks.tiger import TigerTask


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiger(System):
    """What is run, and where.

    Attributes:
      corpus: the interactions and the catalogue.
      data_dir: where TFDS keeps the prepared corpus.
      text_encoder: from item text to item vectors.
      item_fields: fields of an item that its sentence shows.
      quantizer: from item vectors to the learned levels of semantic IDs.
      semantic_id_seed: randomness of the quantizer.
      codebook_corpora: further corpora whose items the quantizer learns from; () for none.
      layout: token ids; its last codebook is the collision level's, where there is one more than is learned.
      task: the SeqIO task that is trained on.
      network: the encoder-decoder, its loss and its search.
      trainer: the embedded engine.
      ranking: how it is compared; the search's beam is at least as wide as a list.
      decoding_batch_size: users decoded at once.
      decoding_length_buckets: shorter lengths that a batch of short inputs may be padded to; each costs a
        compilation.
      unseen_items: what is asked about items without training events; None for nothing.
      diversity: what is asked about temperatures of the search; None for nothing.
      published: rows of the literature for the report; not measured here.

    Raises:
      ValueError: when the parts do not fit one another.
    """

    PLANNED: ClassVar = ('network', 'trainer', 'layout', 'ranking', 'decoding_batch_size')

    corpus: CorpusSource
    data_dir: str = marks.without_effect()
    text_encoder: TextEncoder
    quantizer: Quantizer
    layout: TokenLayout
    task: TigerTask
    network: EncoderDecoderModel
    trainer: Trainer
    ranking: Ranking
    item_fields: tuple[str, ...] = ('title', 'price', 'brand', 'categories')
    semantic_id_seed: int = 0
    codebook_corpora: tuple[CorpusSource, ...] = ()
    decoding_batch_size: int = marks.without_effect(256)
    decoding_length_buckets: tuple[int, ...] = marks.without_effect(())
    unseen_items: UnseenItems | None = None
    diversity: Diversity | None = None
    published: tuple[PublishedRow, ...] = marks.without_effect(())

    def __post_init__(self):
        # gin hands over lists.
        object.__setattr__(self, 'codebook_corpora', tuple(self.codebook_corpora))
        beam = self.network.decode_fn.beam_size
        if beam < self.ranking.list_length:
            raise ValueError(
                f'SemanticIdSearch.beam_size={beam} is below Ranking.list_length={self.ranking.list_length}'
            )
        if self.layout != self.task.layout:
            raise ValueError('Tiger.layout and TigerTask.layout must be the same token layout')
        if os.path.abspath(self.task.code_table) != os.path.abspath(self.run.path(CODE_TABLE)):
            raise ValueError(
                f'TigerTask.code_table={self.task.code_table!r} must be {CODE_TABLE.path} in WORKDIR, where '
                'the semantic IDs are written'
            )
        if self.network.module.config.vocab_size < self.layout.vocab_size:
            raise ValueError(
                f'T5Config.vocab_size={self.network.module.config.vocab_size} does not hold the '
                f'{self.layout.vocab_size} tokens of the layout: bind it to @gin_values.vocab_size()'
            )

    @property
    def seen_items(self) -> str:
        """See `System.seen_items`."""
        return self.ranking.seen_items

    @property
    def retrieval(self) -> GenerativeRetrieval:
        """How it answers histories."""
        return GenerativeRetrieval(
            Parameters(GenerativeNetwork(self.network), self.trainer, self.checkpoint),
            self.layout,
            self.task.max_items,
            self.task.feature_lengths['inputs'],
            self.decoding_batch_size,
            self.decoding_length_buckets,
        )

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        ranking, draw = self.ranking, self.ranking.draw
        learning = LearnSharedSemanticIds if self.codebook_corpora else LearnSemanticIds
        learn = learning(
            quantizer=self.quantizer,
            layout=self.layout,
            seed=self.semantic_id_seed,
            encoder=self.text_encoder.name,
            example_seed=ranking.seed,
        )
        return [
            PrepareCorpus(corpus=self.corpus, data_dir=self.data_dir, split=self.task.split),
            *against(self.corpus, draw, ranking.list_length, ranking.ks, self.task.split),
            self._embed_items(),
            MeasureContent(draw=draw, list_length=ranking.list_length),
            learn,
            WriteExamples(
                task=self.task,
                splits=('train', 'validation', 'test'),
                kept=('user', 'target_item'),
                made_from=(CODE_TABLE, SEMANTIC_ID_FACTS),
            ),
            Train(
                network=self.retrieval.parameters.network,
                trainer=self.trainer,
                validation=ranking.validation(self.retrieval),
            ),
            EvaluateBeams(
                system=self.name,
                retrieval=self.retrieval,
                draw=draw,
                list_length=ranking.list_length,
                seen_items=ranking.seen_items,
            ),
            *studies(self.name, self.retrieval, ranking, self.unseen_items, self.diversity),
        ]

    def _embed_items(self) -> EmbedItems:
        settings = {
            'corpus': self.corpus,
            'data_dir': self.data_dir,
            'encoder': self.text_encoder,
            'item_fields': self.item_fields,
        }
        if not self.codebook_corpora:
            return EmbedItems(**settings)
        return EmbedWithOthers(**settings, others=self.codebook_corpora)

    def model(self, run: Run) -> EncoderDecoderModel:
        """See `System.model`."""
        return self.retrieval.parameters.network.model(run)

    def recommender(self, run: Run) -> GenerativeRecommender:
        """See `System.recommender`."""
        return rank.trained(self.retrieval, run)

    def engine_task(self, run: Run) -> EngineTask:
        """See `System.engine_task`."""
        import seqio

        name = self.task.register()
        vocabulary = seqio.get_mixture_or_task(name).output_features['inputs'].vocabulary
        model = dataclasses.replace(
            self.model(run),
            input_vocabulary=vocabulary,
            output_vocabulary=vocabulary,
            trie=trie_of(run[CODE_TABLE], self.layout),
            seen_items=self.seen_items,
        )
        return EngineTask(
            model=model,
            trainer=self.trainer,
            trained=name,
            evaluated=name,
            feature_lengths=self.task.feature_lengths,
            decoding_batch_size=self.decoding_batch_size,
            examples=lambda split: run[tasks.examples(split)],
            provenance={'code_table': run[SEMANTIC_ID_FACTS]['fingerprint']},
        )

    @classmethod
    def workload(cls, parts: Mapping[str, Any], sizes: DecodingSizes) -> Workload:
        """See `System.workload`."""
        return search_workload(
            parts['network'],
            parts['trainer'],
            sizes,
            layout=parts['layout'],
            users=parts['decoding_batch_size'],
            remove_seen=parts['ranking'].seen_items == 'removed',
        )

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
            pictures=pictures(run),
        ).write(run, records)


@dataclasses.dataclass(frozen=True)
class WriteExamples(MaterialiseTask):
    """The task's examples; attributes as in `MaterialiseTask`."""

    def provenance(self, run: Run) -> dict[str, Any]:
        """See `MaterialiseTask.provenance`."""
        return {'code_table': run[SEMANTIC_ID_FACTS]['fingerprint']}

    def told(self, stores: Mapping[str, ColumnStore]) -> dict[str, Any]:
        """See `MaterialiseTask.told`."""
        lengths = {split: float(store.lengths('inputs').mean()) for split, store in stores.items()}
        return {'mean_input_tokens': lengths}


@dataclasses.dataclass(frozen=True)
class EvaluateBeams(Evaluate):
    """Beside the lists, what the search does with the trie and without it (section 4.5), seen items kept.

    Without it some slots hold no item; those are left out of its lists, as the paper suggests.

    Attributes as in `Evaluate`.
    """

    def systems(self, run: Run) -> tuple[Mapping[str, Recommender], dict[str, Any]]:
        """See `RankStage.systems`."""
        systems, told = super().systems(run)
        recommender: GenerativeRecommender = systems[self.system]
        cases = self.draw.cases(run[SPLITS], 'validation')
        shares, recall = {}, {}
        for name in ('constrained', 'unconstrained'):
            shares[name], ranks = recommender.invalid_share_and_ranks(
                cases, constrained=name == 'constrained'
            )
            recall[name] = mean_over_cases(recall_at_k(ranks, self.list_length))
        return systems, {
            **told,
            'beam_size': recommender.model.decode_fn.beam_size,
            'invalid_rate': shares,
            f'recall@{self.list_length}_seen_kept': recall,
            'invalid_rate_users': len(cases),
        }
