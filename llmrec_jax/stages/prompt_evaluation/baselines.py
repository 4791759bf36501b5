"""What the answers to a task are held against, on the very examples that the model is asked."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.answer_kinds.all_kinds import answer_kind
from llmrec_jax.evaluation.baselines.counted import fit_baselines
from llmrec_jax.evaluation.baselines.fitted import FittedBaselines
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.stages.prompt_evaluation.evaluation_task import EvaluationTask


@dataclasses.dataclass(frozen=True, eq=False)
class Baselines:
    """Baselines of every kind of answer.

    Attributes:
      fitted: name of a task to what was fitted on training answers, as JSON; see `fit_baselines`.
      train: training histories.
      split: the cases whose next items are asked for.
      categories: the path of each item from the root to the leaf, empty where unknown.
    """

    fitted: Mapping[str, Any]
    train: Sequences
    split: RankingCases
    categories: Sequence[tuple[str, ...]]

    def of(self, task: EvaluationTask) -> 'TaskBaselines':
        """Those of a task."""
        return TaskBaselines(self, task.name, task.kind.name)

    def fingerprint(self, task: EvaluationTask) -> str:
        """Hash of what a task's are made of."""
        if task.kind.in_words:
            content = json.dumps(self.fitted.get(task.name), sort_keys=True).encode()
            return hashlib.sha256(content).hexdigest()
        return self._of_histories

    @functools.cached_property
    def ranking(self) -> dict[str, DenseRecommender]:
        """The systems that only count, fitted once for all tasks."""
        return fit_baselines(self.train, len(self.categories), self.categories)

    @functools.cached_property
    def _of_histories(self) -> str:
        arrays = (self.train.values, self.train.offsets, self.split.user, self.split.target)
        hashed = hashlib.sha256()
        for array in (*arrays, self.split.histories.values, self.split.histories.offsets):
            hashed.update(np.ascontiguousarray(array).tobytes())
        hashed.update(json.dumps(self.categories).encode())
        return hashed.hexdigest()


@dataclasses.dataclass(frozen=True, eq=False)
class TaskBaselines:
    """See `evaluation.answer_kinds.kind.BaselineSource`.

    Attributes:
      every: of all tasks.
      task: name of the task.
      answer: name of its kind of answer.
    """

    every: Baselines
    task: str
    answer: str

    def fitted(self) -> FittedBaselines | None:
        """See `BaselineSource`."""
        content = self.every.fitted.get(self.task)
        return None if content is None else answer_kind(self.answer).load_baselines(content)

    def ranking(self) -> Mapping[str, DenseRecommender]:
        """See `BaselineSource`."""
        return self.every.ranking

    def cases(self, users: Int[np.ndarray, 'asked']) -> RankingCases:
        """See `BaselineSource`.

        Raises:
          ValueError: when a user has no case in the split.
        """
        cases = self.every.split
        row_of = {user: row for row, user in enumerate(cases.user.tolist())}
        absent = [user for user in users.tolist() if user not in row_of]
        if absent:
            raise ValueError(
                f'{self.task} asks about user {absent[0]}, who has no case in the split: run the corpus and '
                'tasks stages again'
            )
        return cases.select(np.asarray([row_of[user] for user in users.tolist()], np.int64))
