"""Transfer: what is learned on some domains recommends in another.

The encoders say which paper it is: UniSRec (Hou et al., 2022) reads items as their texts, VQ-Rec (Hou et al.,
2023) as codes of their texts, ZESRec (Ding et al., 2021) as texts with a prior.

| stage | makes |
|---|---|
| corpus, sources | `splits.npz`, `catalogue.jsonl` of the target; `sources/` |
| floors, sampled_floors, content | lists and figures of what it is held against |
| item_vectors | `item_vectors.npy`, `sources/vectors.npy`, `sources/dropped_vectors.npy` |
| codes | `codes/`, where items are told by codes |
| tasks | `tasks/train/`, and `tasks/chosen/` of the users that are fine-tuned on |
| pretraining_tasks, pretraining | `sources/train/`, `pretraining/checkpoints/` |
| renaming | `renaming/checkpoints/`: how the target names the codes of the sources |
| start | `start/`: the parameters that fine-tuning starts from |
| zero_shot | lists of these |
| train | `checkpoints/`: fine-tuned |
| evaluate, sampled | lists over the whole catalogue, and figures among drawn items |
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.corpora.source_domains import NOTHING, SHUFFLES
from llmrec_jax.models.transfer.code_items import CodeItemEncoder
from llmrec_jax.models.transfer.hierarchical import HierarchicalModel
from llmrec_jax.models.transfer.pretraining import ContrastivePretraining
from llmrec_jax.models.transfer.text_items import TextItemEncoder
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage
from llmrec_jax.semantic_ids.product_quantization import OptimizedProductQuantizer
from llmrec_jax.stages.baselines import MeasureBaselines, MeasureContent
from llmrec_jax.stages.catalogue_network import CatalogueNetwork
from llmrec_jax.stages.catalogue_system import CatalogueSystem
from llmrec_jax.stages.item_vectors import ITEM_VECTORS
from llmrec_jax.stages.train import Train
from llmrec_jax.systems.transfer import source_stages, training_stages
from llmrec_jax.systems.transfer.training_stages import PRETRAINING, RENAMING
from llmrec_jax.text.text_encoder import TextEncoder
from llmrec_jax.training.trainer import Trainer


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferLearning(CatalogueSystem):
    """What is learned from which domains, and tried in which.

    What a `CatalogueSystem` says is done in the target: `corpus`, `task`, `network`, and `trainer` for
    fine-tuning. What is beside it:

    Attributes:
      sources: the domains that are learned from.
      text_encoder: from item text to item vectors; it is given the texts of all domains at once.
      pretraining: the model that is trained on the sources; `network` takes over all of it that does not
        belong to the sources' items and users.
      pretrainer: the engine of that.
      quantizer: from the sources' item vectors to codebooks, where items are told by codes; None elsewhere.
      renamer: the engine that learns how the target renames codes before fine-tuning (VQ-Rec, section 3.4);
        None for codes that mean the same everywhere.
      pretrained: whether fine-tuning starts from what the sources taught, or from nothing: the rival at
        equal steps.
      shuffle: what is destroyed in the sources: 'nothing'; or, as a control, 'order', 'histories' or 'text'
        (see `source_domains.SHUFFLES`).
      centred: whether text vectors are taken from the mean of their domain's.
      whitening: whether the adaptor starts as the whitening of the vectors that it is trained on first.
      training_users: share of the target's users that are fine-tuned on, drawn by `seed`; all are
        evaluated.
      item_fields: fields of an item that its sentence shows.
      dropped_words: share of the words that the second text of a source's item lacks; None where items have
        none (`TextItemEncoder.word_drop`).
      seed: of what is drawn before any training: parameters, users, words, shuffles, codebooks.

    Raises:
      ValueError: when parts do not fit one another.
    """

    sources: tuple[CorpusSource, ...]
    text_encoder: TextEncoder
    pretraining: ContrastivePretraining | HierarchicalModel
    pretrainer: Trainer
    quantizer: OptimizedProductQuantizer | None = None
    renamer: Trainer | None = None
    pretrained: bool = True
    shuffle: str = NOTHING
    centred: bool = False
    whitening: bool = False
    training_users: float = 1.0
    item_fields: tuple[str, ...] = ('title', 'brand', 'categories')
    dropped_words: float | None = None
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        # gin hands over lists.
        object.__setattr__(self, 'sources', tuple(self.sources))
        if not self.sources:
            raise ValueError('TransferLearning.sources names no domain to learn from')
        if self.shuffle not in SHUFFLES:
            raise ValueError(
                f'TransferLearning.shuffle={self.shuffle!r} must be one of {", ".join(SHUFFLES)}'
            )
        if not 0 < self.training_users <= 1:
            raise ValueError(f'TransferLearning.training_users={self.training_users} must lie in (0, 1]')
        for name in ('trainer', 'pretrainer', 'renamer'):
            trainer = getattr(self, name)
            if trainer is not None and trainer.initial_checkpoint is not None:
                raise ValueError(
                    f'TransferLearning.{name} has an initial_checkpoint, but the recipe makes one: leave it '
                    'out'
                )
        self._check_items()

    def _check_items(self) -> None:
        encoders = (self.network.item_encoder, self.pretraining.item_encoder)
        coded = [isinstance(encoder, CodeItemEncoder) for encoder in encoders]
        if coded[0] != coded[1] or coded[0] != (self.quantizer is not None):
            raise ValueError(
                'TransferLearning.quantizer goes with a CodeItemEncoder in both pretraining and network: set '
                'all three or none'
            )
        for encoder in encoders if self.quantizer is not None else ():
            wanted = (self.quantizer.parts, self.quantizer.codewords)
            if (encoder.digits, encoder.codewords) != wanted or encoder.renaming:
                raise ValueError(
                    "CodeItemEncoder's digits and codewords must be the quantizer's parts and codewords, "
                    f'{wanted}, and renaming is left to the recipe'
                )
        if self.renamer is not None and not (coded[0] and self.pretrained):
            raise ValueError('TransferLearning.renamer renames learned codes, and there are none')
        if (self.dropped_words is not None) != self.source_items.second_text:
            raise ValueError(
                f'TransferLearning.dropped_words={self.dropped_words} goes with TextItemEncoder.word_drop='
                f'{self.source_items.second_text}: give a share where there is a second text, None elsewhere'
            )
        if self.whitening and not isinstance(encoders[0], TextItemEncoder):
            raise ValueError('TransferLearning.whitening is of the adaptor of a TextItemEncoder')

    @property
    def item_vectors(self) -> Artifact[np.ndarray]:
        """See `CatalogueSystem`."""
        return ITEM_VECTORS

    @property
    def source_items(self) -> source_stages.SourceItems:
        """The sources as they are learned from."""
        items = self.pretraining.item_encoder
        second_text = isinstance(items, TextItemEncoder) and items.word_drop
        return source_stages.SourceItems(self.shuffle, self.seed, self.quantizer is not None, second_text)

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        ranking, retrieval = self.ranking, self.retrieval
        return [
            self.prepare_corpus,
            MeasureBaselines(draw=ranking.draw, list_length=ranking.list_length),
            *self.sampled_baselines(),
            source_stages.PrepareSources(
                sources=self.sources,
                data_dir=self.data_dir,
                item_fields=self.item_fields,
                split=self.task.split,
            ),
            source_stages.EmbedDomains(
                corpus=self.corpus,
                data_dir=self.data_dir,
                encoder=self.text_encoder,
                item_fields=self.item_fields,
                centred=self.centred,
                dropped_words=self.dropped_words,
                seed=self.seed,
            ),
            MeasureContent(draw=ranking.draw, list_length=ranking.list_length),
            *self._codes(),
            training_stages.WriteChosenHistories(
                task=self.task, training_users=self.training_users, seed=self.seed
            ),
            *self._before_tuning(),
            Train(
                network=retrieval.parameters.network,
                trainer=self.trainer,
                validation=ranking.validation(retrieval),
                examples=training_stages.CHOSEN_EXAMPLES,
                start=training_stages.START,
            ),
            *self.evaluation(),
        ]

    def _codes(self) -> list[Stage]:
        if self.quantizer is None:
            return []
        return [
            source_stages.CodeItems(
                quantizer=self.quantizer,
                sources=self.source_items,
                encoder=self.text_encoder.name,
                seed=self.seed,
            )
        ]

    def _before_tuning(self) -> list[Stage]:
        """What is learned before, and what it is worth; of the rival the parameters that are drawn."""
        network = self.retrieval.parameters.network
        learned_by = None if not self.pretrained else PRETRAINING if self.renamer is None else RENAMING
        start = training_stages.WriteStart(
            network=network,
            coded=self.quantizer is not None,
            learned_by=learned_by,
            whitening=self.whitening,
            seed=self.seed,
        )
        if not self.pretrained:
            return [start]
        return [*self._trainings(network), start, self._zero_shot()]

    def _trainings(self, network: CatalogueNetwork) -> list[Stage]:
        ranking, sources = self.ranking, self.source_items
        examples = source_stages.WritePretrainingExamples(sources=sources, max_items=self.task.max_items)
        pretrain = training_stages.Pretrain(
            model=self.pretraining,
            trainer=self.pretrainer,
            sources=sources,
            validation=training_stages.SourceValidation(
                draw=ranking.draw,
                ks=ranking.ks,
                seen_items=ranking.seen_items,
                max_items=self.task.max_items,
                batch_size=self.ranking_batch_size,
                length_buckets=self.ranking_length_buckets,
            ),
            whitening=self.whitening,
            seed=self.seed,
        )
        if self.renamer is None:
            return [examples, pretrain]
        items = self.network.item_encoder.clone(renaming=True)
        renaming = CatalogueNetwork(dataclasses.replace(self.network, item_encoder=items), network.vectors)
        rename = training_stages.LearnRenaming(network=renaming, trainer=self.renamer, seed=self.seed)
        return [examples, pretrain, rename]

    def _zero_shot(self) -> Stage:
        return training_stages.MeasureZeroShot(
            system=f'{self.name}_zero_shot' if self.renamer is None else f'{self.name}_renamed',
            retrieval=self.retrieval,
            draw=self.ranking.draw,
            list_length=self.ranking.list_length,
        )

    def engine_trainer(self, run: Run) -> Trainer:
        """See `CatalogueSystem.engine_trainer`; it begins with what the sources taught."""
        return dataclasses.replace(
            self.trainer, initial_checkpoint=str(run.path(training_stages.START).absolute())
        )
