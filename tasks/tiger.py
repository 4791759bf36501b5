"""TIGER's tasks: a user's last items, as semantic IDs, predict the next one's (TIGER, section 3.2).

Registering a task over a corpus is making a `TigerTask` and calling `register`:

    task = TigerTask(
        corpus=SequenceFiles(directory='my_shop'), data_dir='data', code_table='runs/my_shop/code_table',
        layout=TokenLayout(codebook_sizes=(256, 256, 256, 256)),
    )
    name = task.register()  # 'tiger_sequence_files_my_shop_' and a hash, known to SeqIO from here on

TensorFlow is imported when a task is registered, not when it is configured: training from materialised tasks
needs the configuration alone.
"""

import dataclasses

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource, identity
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule
from llmrec_jax.semantic_ids.token_layout import HistoryEncoding, TokenLayout
from tasks.task_names import in_letters


@dataclasses.dataclass(frozen=True)
class TigerTask:
    """Next-item prediction over semantic IDs.

    Attributes:
      corpus: where the histories come from.
      data_dir: where the corpus is prepared.
      code_table: file of the code table; read when the task is registered.
      layout: token ids of codes and users.
      max_items: the newest items of the history that the input shows.
      ks: cut-offs of the metrics.
      split: what of the corpus is held out.
    """

    corpus: CorpusSource = marks.described_by(identity)
    data_dir: str = marks.without_effect()
    code_table: str = marks.without_effect()
    layout: TokenLayout
    max_items: int = 20
    ks: tuple[int, ...] = marks.without_effect((5, 10))
    split: SplitRule = marks.silent_default(LEAVE_LAST_OUT)

    @property
    def stem(self) -> str:
        """What SeqIO's name begins with; a hash of corpus, code table, layout, lengths and split follows."""
        return f'tiger_{in_letters(self.corpus.name)}'

    @property
    def encoding(self) -> HistoryEncoding:
        """From a history to `inputs`."""
        return HistoryEncoding(self.layout, self.max_items)

    @property
    def feature_lengths(self) -> dict[str, int]:
        """Longest input (user token, where there is one, and history) and target, in tokens."""
        return {'inputs': self.encoding.longest, 'targets': self.layout.n_levels}

    def register(self) -> str:
        """Adds the task to SeqIO's registry, preparing the corpus where it is not, and returns its name.

        Raises:
          FileNotFoundError: when there is no code table.
          ValueError: when the table does not fit the layout, or SeqIO knows another task of that name.
        """
        from tasks import tiger_pipeline

        return tiger_pipeline.register(self)


@dataclasses.dataclass(frozen=True)
class TigerMixture:
    """Several corpora trained together under one layout, in proportion to their examples.

    Attributes:
      name: SeqIO's name of the mixture.
      tasks: they must share one layout, because a mixture has one vocabulary.
    """

    name: str
    tasks: tuple[TigerTask, ...]

    def register(self) -> str:
        """Registers the tasks and the mixture, and returns the mixture's name."""
        from tasks import tiger_pipeline

        return tiger_pipeline.register_mixture(self)
