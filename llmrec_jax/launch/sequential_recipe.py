"""The recipe of a sequential recommender: everything that a run is made of, as its gin file gives it."""

import dataclasses
from typing import TYPE_CHECKING

from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.evaluation.report.report_data import PublishedRow
from llmrec_jax.evaluation.sampled_protocol import SampledProtocol
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.training.trainer import Trainer

if TYPE_CHECKING:
    from llmrec_jax.corpora.source import CorpusSource
    from tasks.sequential import SequentialTask


@dataclasses.dataclass(frozen=True)
class SequentialRecipe:
    """What is run, and where.

    Attributes:
      workdir: folder of everything the run makes.
      name: what the trained system is called in results and report.
      corpus: the interactions and the catalogue.
      data_dir: where TFDS keeps the prepared corpus.
      task: the SeqIO task that is trained on.
      model: the encoders and their loss, for whatever catalogue the corpus has.
      trainer: the embedded engine.
      seen_items: 'kept' or 'removed', the protocol of the main table and of validation; the other is
        reported beside it.
      ks: cut-offs of recall and NDCG.
      list_length: items in every system's list.
      validation_users: users drawn for the validation metric during training; None for all.
      sampled: protocols with drawn negatives that the floors and the model are measured under too, apart from
        the whole catalogue.
      ranking_batch_size: users whose scores of the whole catalogue are held at once.
      ranking_length_buckets: shorter lengths that a batch of short histories may be padded to; each costs a
        compilation.
      seed: of the draws of evaluation: validation users, bootstrap, example users of the report.
      published: rows of the literature for the report; not measured here.

    Raises:
      ValueError: when the parts do not fit one another.
    """

    workdir: str
    name: str
    corpus: 'CorpusSource'
    data_dir: str
    task: 'SequentialTask'
    model: SequentialRecommenderModel
    trainer: Trainer
    seen_items: str = 'kept'
    ks: tuple[int, ...] = (5, 10)
    list_length: int = 10
    validation_users: int | None = None
    sampled: tuple[SampledProtocol, ...] = ()
    ranking_batch_size: int = 256
    ranking_length_buckets: tuple[int, ...] = ()
    seed: int = 0
    published: tuple[PublishedRow, ...] = ()

    def __post_init__(self):
        if self.seen_items not in SEEN_ITEMS:
            raise ValueError(
                f"SequentialRecipe.seen_items must be 'kept' or 'removed', not {self.seen_items!r}"
            )
        if self.list_length < max(self.ks):
            raise ValueError(
                f'SequentialRecipe.list_length={self.list_length} is shorter than the cut-off {max(self.ks)}'
            )
        if len(set(self.sampled)) < len(self.sampled):
            raise ValueError('SequentialRecipe.sampled names a protocol twice; name each once')
        if dict(self.trainer.feature_lengths) != self.task.feature_lengths:
            raise ValueError(
                f'Trainer.feature_lengths={dict(self.trainer.feature_lengths)} must be '
                f'{self.task.feature_lengths}, one more than SequentialTask.max_items'
            )
        if any(not 0 < bucket <= self.task.max_items for bucket in self.ranking_length_buckets):
            raise ValueError(
                f'SequentialRecipe.ranking_length_buckets={self.ranking_length_buckets} must lie between 1 '
                f'and SequentialTask.max_items={self.task.max_items}'
            )
