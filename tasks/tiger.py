"""TIGER's tasks: a user's last items, as semantic IDs, predict the next one's (TIGER, section 3.2).

Registering a task over a corpus is making a `TigerTask` and calling `register`:

    task = TigerTask(
        corpus=SequenceFiles(directory='my_shop'), data_dir='data', code_table='runs/my_shop/code_table',
        layout=TokenLayout(codebook_sizes=(256, 256, 256, 256)),
    )
    name = task.register()  # 'tiger_sequence_files_my_shop', known to SeqIO from here on

TensorFlow is imported when a task is registered, not when it is configured: training from materialised tasks
needs the configuration alone.
"""

import dataclasses

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource, identity
from llmrec_jax.semantic_ids.token_layout import TokenLayout


@dataclasses.dataclass(frozen=True)
class TigerTask:
    """Next-item prediction over semantic IDs.

    Attributes:
      corpus: where the histories come from.
      data_dir: where the corpus is prepared.
      code_table: folder of the code table; read when a dataset is asked for.
      layout: token ids of codes and users.
      max_items: the newest items of the history that the input shows.
      ks: cut-offs of the metrics.
    """

    corpus: CorpusSource = marks.described_by(identity)
    data_dir: str = marks.without_effect()
    code_table: str = marks.without_effect()
    layout: TokenLayout
    max_items: int = 20
    ks: tuple[int, ...] = marks.without_effect((5, 10))

    @property
    def name(self) -> str:
        """SeqIO's name of the task."""
        return 'tiger_' + ''.join(letter if letter.isalnum() else '_' for letter in self.corpus.name)

    @property
    def feature_lengths(self) -> dict[str, int]:
        """Longest input (user token and history) and target, in tokens."""
        levels = len(self.layout.codebook_sizes)
        return {'inputs': 1 + self.max_items * levels, 'targets': levels}

    def register(self) -> str:
        """Adds the task to SeqIO's registry and returns its name; a task of that name is replaced."""
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
