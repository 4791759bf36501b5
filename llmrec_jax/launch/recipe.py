"""A recipe: everything that a run is made of, as its gin file gives it."""

import dataclasses
from typing import TYPE_CHECKING

from llmrec_jax.evaluation.report.report_data import PublishedRow
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.semantic_ids.quantization import Quantizer
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.text.encoder import TextEncoder
from llmrec_jax.training.trainer import Trainer

if TYPE_CHECKING:
    from llmrec_jax.corpora.source import CorpusSource
    from tasks.tiger import TigerTask


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is run, and where.

    Attributes:
      workdir: folder of everything the run makes.
      name: what the trained system is called in results and report.
      corpus: the interactions and the catalogue.
      data_dir: where TFDS keeps the prepared corpus.
      text_encoder: from item text to item vectors.
      item_fields: fields of an item that its sentence shows.
      quantizer: from item vectors to the learned levels of semantic IDs.
      semantic_id_seed: randomness of the quantizer.
      layout: token ids; its last codebook is the collision level.
      task: the SeqIO task that is trained on.
      model: the network, its loss and its search.
      trainer: the embedded engine.
      seen_items: 'kept' or 'removed', the protocol of the main table; the other is reported beside it.
      ks: cut-offs of recall and NDCG.
      list_length: items in every system's list; the search's beam is at least as wide.
      validation_users: users drawn for the validation metric during training.
      decoding_batch_size: users decoded at once.
      decoding_length_buckets: shorter lengths that a batch of short inputs may be padded to; each costs
        a compilation.
      seed: of the draws of evaluation: validation users, bootstrap, example users of the report.
      published: rows of the literature for the report; not measured here.
    """

    workdir: str
    name: str
    corpus: 'CorpusSource'
    data_dir: str
    text_encoder: TextEncoder
    quantizer: Quantizer
    layout: TokenLayout
    task: 'TigerTask'
    model: EncoderDecoderModel
    trainer: Trainer
    item_fields: tuple[str, ...] = ('title', 'price', 'brand', 'categories')
    semantic_id_seed: int = 0
    seen_items: str = 'kept'
    ks: tuple[int, ...] = (5, 10)
    list_length: int = 10
    validation_users: int = 1000
    decoding_batch_size: int = 256
    decoding_length_buckets: tuple[int, ...] = ()
    seed: int = 0
    published: tuple[PublishedRow, ...] = ()

    def __post_init__(self):
        if self.seen_items not in ('kept', 'removed'):
            raise ValueError(f"Recipe.seen_items must be 'kept' or 'removed', not {self.seen_items!r}")
        if self.list_length < max(self.ks):
            raise ValueError(
                f'Recipe.list_length={self.list_length} is shorter than the cut-off {max(self.ks)}'
            )
        beam = self.model.decode_fn.beam_size
        if beam < self.list_length:
            raise ValueError(
                f'SemanticIdSearch.beam_size={beam} is below Recipe.list_length={self.list_length}'
            )
        if self.layout != self.task.layout:
            raise ValueError('Recipe.layout and TigerTask.layout must be the same token layout')
        if self.model.module.config.vocab_size < self.layout.vocab_size:
            raise ValueError(
                f'T5Config.vocab_size={self.model.module.config.vocab_size} does not hold the '
                f'{self.layout.vocab_size} tokens of the layout: bind it to @gin_values.vocab_size()'
            )
