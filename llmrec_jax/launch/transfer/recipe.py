"""A recipe that learns on some domains and recommends in another."""

import dataclasses
from typing import TYPE_CHECKING

from llmrec_jax.launch.sequential_recipe import SequentialRecipe
from llmrec_jax.launch.transfer.source_domains import NOTHING, SHUFFLES
from llmrec_jax.models.transfer.code_items import CodeItemEncoder
from llmrec_jax.models.transfer.hierarchical import HierarchicalModel
from llmrec_jax.models.transfer.pretraining import ContrastivePretraining
from llmrec_jax.models.transfer.text_items import TextItemEncoder
from llmrec_jax.semantic_ids.product_quantization import OptimizedProductQuantizer
from llmrec_jax.text.encoder import TextEncoder
from llmrec_jax.training.trainer import Trainer

if TYPE_CHECKING:
    from llmrec_jax.corpora.source import CorpusSource


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferRecipe(SequentialRecipe):
    """What is learned from which domains, and tried in which.

    The recipe of a sequential recommender says what is done in the target: `corpus`, `task`, `model`, and
    `trainer` for fine-tuning. What is beside it:

    Attributes:
      sources: the domains that are learned from.
      text_encoder: from item text to item vectors; it is given the texts of all domains at once.
      pretraining: the model that is trained on the sources; `model` takes over all of it that does not
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
      dropped_words: share of the words that the second text of a source's item lacks.

    Raises:
      ValueError: when parts do not fit one another.
    """

    sources: 'tuple[CorpusSource, ...]'
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
    dropped_words: float = 0.15

    def __post_init__(self):
        super().__post_init__()
        # gin hands over lists.
        object.__setattr__(self, 'sources', tuple(self.sources))
        if not self.sources:
            raise ValueError('TransferRecipe.sources names no domain to learn from')
        if self.shuffle not in SHUFFLES:
            raise ValueError(f'TransferRecipe.shuffle={self.shuffle!r} must be one of {", ".join(SHUFFLES)}')
        if not 0 < self.training_users <= 1:
            raise ValueError(f'TransferRecipe.training_users={self.training_users} must lie in (0, 1]')
        for name in ('trainer', 'pretrainer', 'renamer'):
            trainer = getattr(self, name)
            if trainer is not None and trainer.initial_checkpoint is not None:
                raise ValueError(
                    f'TransferRecipe.{name} has an initial_checkpoint, but the recipe makes one: leave it out'
                )
        self._check_items()

    def _check_items(self) -> None:
        encoders = (self.model.item_encoder, self.pretraining.item_encoder)
        coded = [isinstance(encoder, CodeItemEncoder) for encoder in encoders]
        if coded[0] != coded[1] or coded[0] != (self.quantizer is not None):
            raise ValueError(
                'TransferRecipe.quantizer goes with a CodeItemEncoder in both pretraining and model: set all '
                'three or none'
            )
        for encoder in encoders if self.quantizer is not None else ():
            wanted = (self.quantizer.parts, self.quantizer.codewords)
            if (encoder.digits, encoder.codewords) != wanted or encoder.renaming:
                raise ValueError(
                    "CodeItemEncoder's digits and codewords must be the quantizer's parts and codewords, "
                    f'{wanted}, and renaming is left to the recipe'
                )
        if self.renamer is not None and not (coded[0] and self.pretrained):
            raise ValueError('TransferRecipe.renamer renames codes that were learned before: there are none')
        if self.whitening and not isinstance(encoders[0], TextItemEncoder):
            raise ValueError('TransferRecipe.whitening is of the adaptor of a TextItemEncoder')
