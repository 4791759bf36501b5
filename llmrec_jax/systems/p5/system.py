"""P5 (Geng et al., 2022): five families of recommendation tasks as prompts, one encoder-decoder for them all.

| stage | makes | section |
|---|---|---|
| corpus | `splits.npz`, `catalogue.jsonl` | 4.1 |
| vocabulary, tasks | `vocabulary/`, `item_names.json`, `user_names.json`, `tasks/` | 4.1, appendix D |
| floors | `fitted_baselines.json`: what answers in words are held against | |
| train | `checkpoints/` | 4.3 |
| ceiling | what no recommender can exceed, of a simulated corpus | |
| evaluate | `evaluation/tasks/<task>/`, `evaluation/<mixture>/` | 5 |
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from llmrec_jax import marks
from llmrec_jax.prompts.prompt_group import PromptGroup
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage
from llmrec_jax.stages.baselines import MeasureCeiling, has_law
from llmrec_jax.stages.corpus import USER_IDS, CaseDraw
from llmrec_jax.stages.prompt_evaluation.fit_baselines import FitBaselines
from llmrec_jax.stages.prompt_evaluation.item_names import ItemNames
from llmrec_jax.stages.prompt_evaluation.report import PromptReport
from llmrec_jax.stages.prompt_tasks import ITEM_NAMES, MaterialisePrompts, task_set
from llmrec_jax.stages.text_system import TextSystem
from llmrec_jax.systems.p5.recommender import USER_NAMES, NextItemRecommender
from tasks.p5 import P5Tasks


@dataclasses.dataclass(frozen=True, kw_only=True)
class P5System(TextSystem):
    """What is run, and where; see `TextSystem` for the rest.

    Attributes:
      tasks: the prompts and what of them is evaluated.
      next_item_template: the template by which histories are answered with items; of the group 'next_item'.

    Raises:
      ValueError: further, when there is no such template.
    """

    tasks: P5Tasks
    next_item_template: str = marks.without_effect('2-3')

    def __post_init__(self):
        super().__post_init__()
        # The group says which templates it has.
        self.next_item_group()

    def next_item_group(self) -> PromptGroup:
        """The prompt group of the one template that histories are asked by."""
        groups = self.tasks.p5.prompts.groups(training=False)
        return groups['sequential_next_item'].only([self.next_item_template])

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        fit = FitBaselines(tasks=self.tasks, decoding=self.decoding, mixture=self.mixture_or_task_name)
        draw = CaseDraw(seed=self.seed)
        ceiling = MeasureCeiling(corpus=self.corpus, draw=draw, ks=tuple(self.decoding.ks))
        return [
            self.prepare_corpus,
            *self.prepare_tasks(kept_by=KeepPromptsAndUsers),
            fit,
            self.train,
            *([ceiling] if has_law(self.corpus, self.tasks.split) else []),
            self.evaluate(),
        ]

    def recommender(self, run: Run) -> NextItemRecommender:
        """See `System.recommender`."""
        network = self.placed(run)
        return NextItemRecommender(
            network=network,
            search=self.decoding.items,
            catalogue=ItemNames(run[ITEM_NAMES], network.vocabulary),
            group=self.next_item_group(),
            user_names=run[USER_NAMES],
            corpus_users=run[USER_IDS],
            user_ids=run[USER_IDS],
            seed=self.tasks.seed,
            input_length=self.tasks.feature_lengths['inputs'],
            length_buckets=self.decoding.length_buckets,
            batch_size=self.decoding.batch_size,
        )

    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """See `System.report`."""
        PromptReport(self.mixture_or_task_name).write(run, records)


@dataclasses.dataclass(frozen=True)
class KeepPromptsAndUsers(MaterialisePrompts):
    """Keeps what the users are called, too; attributes as in `MaterialisePrompts`."""

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        return (*super().writes, USER_NAMES)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        tables = task_set(self.tasks, run).training[0].tables
        run.put(USER_NAMES, {name: list(tables[name]) for name in ('user', 'user_name')})
        return super().run(run)
