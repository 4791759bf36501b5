"""The task of sequential recommenders: a user's items, oldest first, of which each predicts the next.

    task = SequentialTask(corpus=SequenceFiles(directory='my_shop'), data_dir='data', max_items=50)
    name = task.register()  # 'sequential_sequence_files_my_shop_' and a hash, known to SeqIO from here on

TensorFlow is imported when a task is registered, not when it is configured.
"""

import dataclasses

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource, identity
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule
from llmrec_jax.models.sequential import ITEMS
from tasks.task_names import in_letters


@dataclasses.dataclass(frozen=True)
class SequentialTask:
    """Whole histories as examples: one of n items trains n - 1 predictions at once.

    Attributes:
      corpus: where the histories come from.
      data_dir: where the corpus is prepared.
      max_items: the newest items of a history that are read to predict the next one.
      ks: cut-offs of the metrics.
      split: what of the corpus is held out.

    Raises:
      ValueError: when a history is to be of no item.
    """

    corpus: CorpusSource = marks.described_by(identity)
    data_dir: str = marks.without_effect()
    max_items: int = 50
    ks: tuple[int, ...] = marks.without_effect((5, 10))
    split: SplitRule = marks.silent_default(LEAVE_LAST_OUT)

    def __post_init__(self):
        if self.max_items < 1:
            raise ValueError(f'SequentialTask.max_items={self.max_items} must be at least 1')

    @property
    def stem(self) -> str:
        """What SeqIO's name begins with; a hash of corpus, lengths and split follows."""
        return f'sequential_{in_letters(self.corpus.name)}'

    @property
    def feature_lengths(self) -> dict[str, int]:
        """Longest example: the history and the item after it."""
        return {ITEMS: self.max_items + 1}

    def register(self) -> str:
        """Adds the task to SeqIO's registry, preparing the corpus where it is not, and returns its name.

        Raises:
          ValueError: when SeqIO knows another task of that name.
        """
        from tasks import sequential_pipeline

        return sequential_pipeline.register(self)
