"""PALR's tasks over a corpus (Yang et al., 2023): recommend from a history, and choose from candidates.

| name | is |
|---|---|
| `palr_<corpus>_train_recommend` | trains: history -> titles of what follows |
| `palr_<corpus>_train_recommend_retrieval` | trains: the same among hard and random candidates |
| `palr_<corpus>_train` | the mixture: the first alone for v1, both for v2 |
| `palr_<corpus>_recommend` | evaluates without candidates |
| `palr_<corpus>_recommend_retrieval` | evaluates with a retriever's candidates, in a drawn order |
| `palr_<corpus>_recommend_drawn` | evaluates with candidates that are drawn as in training |
| `palr_<corpus>_eval` | the mixture of the three |

Profiles and the retriever's candidates are read from the workdir, where the recipe's stages left them.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmrec_jax import marks
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.source import identity
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule
from llmrec_jax.evaluation.answer_kinds.items import ItemList
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.prompts.palr.data import Palr
from llmrec_jax.prompts.palr.forms import RECOMMEND, RECOMMEND_RETRIEVAL
from llmrec_jax.prompts.palr.profiles import load_profiles
from tasks.prompt_tasks import PromptTask, TaskSet
from tasks.task_names import in_letters

if TYPE_CHECKING:
    from llmrec_jax.corpora.corpus import Corpus
    from llmrec_jax.corpora.source import CorpusSource

PROFILES, CANDIDATES = 'profiles.jsonl', 'candidates.npz'
RETRIEVER = 'retriever'
# What each version is trained on.
VERSIONS = {'v1': (RECOMMEND,), 'v2': (RECOMMEND, RECOMMEND_RETRIEVAL)}


@dataclasses.dataclass(frozen=True)
class PalrTasks:
    """PALR over a corpus.

    Attributes:
      corpus: where events, items and users come from.
      data_dir: where the corpus is prepared.
      workdir: holds the vocabulary, the profiles and the candidates.
      vocabulary: from text to tokens and back; learned from both tasks, so that v1 and v2 read alike.
      palr: the prompts.
      profiles: whether the prompts show the keywords of `profiles.jsonl` in the workdir.
      version: 'v1' is trained to recommend alone, 'v2' to choose from candidates as well.
      seed: of every draw.
      split: what of the corpus is held out.
      epochs: passes over the training records, each with draws of its own, before draws come again.
      feature_lengths: tokens of inputs and targets; longer ones are cut, but for the end-of-sequence token.
      vocabulary_examples: about so many training examples are what a vocabulary is learned from.

    Raises:
      ValueError: when there is no such version, or a number is out of range.
    """

    corpus: 'CorpusSource' = marks.described_by(identity)
    data_dir: str = marks.without_effect()
    workdir: str = marks.without_effect()
    vocabulary: Any
    palr: Palr = dataclasses.field(default_factory=Palr)
    profiles: bool = True
    version: str = 'v2'
    seed: int = 0
    epochs: int = 1
    feature_lengths: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {'inputs': 1024, 'targets': 256}
    )
    vocabulary_examples: int = 20_000
    split: SplitRule = marks.silent_default(LEAVE_LAST_OUT)

    def __post_init__(self):
        if self.version not in VERSIONS:
            raise ValueError(f'PalrTasks.version={self.version!r} must be one of {", ".join(VERSIONS)}')
        if set(self.feature_lengths) != {'inputs', 'targets'} or min(self.feature_lengths.values()) < 2:
            raise ValueError(
                f"PalrTasks.feature_lengths must give 'inputs' and 'targets' two tokens or more, not "
                f'{dict(self.feature_lengths)}'
            )
        for field in ('epochs', 'vocabulary_examples'):
            if getattr(self, field) < 1:
                raise ValueError(f'PalrTasks.{field}={getattr(self, field)} must be at least 1')

    @property
    def name(self) -> str:
        """What the names of all tasks and mixtures begin with."""
        # The shop is one corpus in several sizes.
        corpus = 'simulated_shop' if isinstance(self.corpus, SimulatedShop) else self.corpus.name
        return f'palr_{in_letters(corpus.lower())}'

    def evaluated(self, group: str) -> str:
        """Name of the task that evaluates 'recommend', 'recommend_retrieval' or 'recommend_drawn'."""
        return f'{self.name}_{group}'

    def build(self) -> TaskSet:
        """Reads corpus, profiles and candidates, and makes the tasks.

        Raises:
          FileNotFoundError: when the stages that make profiles and candidates have not run.
          ValueError: as the source and `Palr.build` raise it.
        """
        from llmrec_jax.corpora.prepare import prepared_corpus

        return self.build_over(prepared_corpus(self.corpus, self.data_dir))

    def build_over(self, corpus: 'Corpus') -> TaskSet:
        """The tasks over a corpus in memory; see `build`."""
        workdir = pathlib.Path(self.workdir)
        found = PerUserResults.load(workdir / CANDIDATES)
        keywords: list[tuple[str, ...]] = [()] * len(corpus.users)
        if self.profiles:
            profiles = load_profiles(workdir / PROFILES)
            profiles.check_corpus(corpus.fingerprint())
            keywords = [profiles.keywords(user) for user in range(len(corpus.users))]
        data = self.palr.build(
            corpus,
            keywords,
            found.user,
            found.systems[RETRIEVER].items,
            self.seed,
            self.split,
        )
        training = tuple(
            PromptTask(
                name=f'{self.name}_train_{name}',
                group=group,
                records={split: records[name] for split, records in data.training_records.items()},
                tables=data.tables,
                seed=self.seed,
                epochs=self.epochs,
            )
            for name, group in data.training_groups.items()
        )
        evaluation = tuple(
            PromptTask(
                name=self.evaluated(name),
                group=group,
                records={'test': data.evaluation_records[name]},
                tables=data.tables,
                seed=self.seed,
                answer=ItemList.name,
            )
            for name, group in data.evaluation_groups.items()
        )
        trained = {f'{self.name}_train_{name}' for name in VERSIONS[self.version]}
        return TaskSet(
            name=self.name,
            training=training,
            rates={task.name: len(task.records['train']) for task in training if task.name in trained},
            evaluation=evaluation,
            mixtures={f'{self.name}_eval': tuple(task.name for task in evaluation)},
            item_names=data.tables['item'],
            facts={
                'version': self.version,
                'naming': type(self.palr.item_naming).__name__,
                'users_with_keywords': sum(bool(text) for text in data.tables['profile']),
            },
            vocabulary_examples=self.vocabulary_examples,
        )

    def register(self) -> TaskSet:
        """Adds tasks and mixtures to SeqIO's registries.

        The vocabulary is the one in the workdir; it is trained where there is none.

        Raises:
          ValueError: when others bear their names, as those of another shop or of other settings do; see
            `tasks.registration.forget`.
        """
        from tasks import prompt_pipeline

        return prompt_pipeline.register_over(self)
