"""The floors of a task, on the very examples that the model is asked."""

import dataclasses
import functools
import hashlib
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.floors.all_floors import fit_floors
from llmrec_jax.evaluation.floors.ranking_floors import candidate_floor_tallies, catalogue_floor_tallies
from llmrec_jax.evaluation.measured import Tally
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.evaluation.text_answers import TEXT_ANSWERS
from llmrec_jax.launch.mixtures.evaluation_task import ITEM, ITEM_LIST, YES_NO_RANKING, EvaluationTask
from llmrec_jax.launch.mixtures.fitted_floors import load_floor
from llmrec_jax.launch.mixtures.item_answers import candidates_of

if TYPE_CHECKING:
    from llmrec_jax.launch.text_workspace import TextWorkspace


@dataclasses.dataclass(frozen=True, eq=False)
class Floors:
    """Floors of every kind of answer.

    Attributes:
      workspace: where the stages left them.
      split: of the cases that rank items.
    """

    workspace: 'TextWorkspace'
    split: str

    def tallies(
        self, task: EvaluationTask, rows: Int[np.ndarray, 'asked'], ks: tuple[int, ...]
    ) -> dict[str, Tally]:
        """Metrics of each floor on some rows of a task; of a task that training knows nothing like, none.

        Raises:
          ValueError: when a case's user is none of the split's.
        """
        if task.answer in TEXT_ANSWERS:
            path = self.workspace.floor_path(task.name)
            return load_floor(path, task.answer).tallies(task, rows) if path.is_file() else {}
        if task.answer in (ITEM, ITEM_LIST):
            return catalogue_floor_tallies(self._ranking, self._cases(task, rows), ks)
        if task.answer == YES_NO_RANKING:
            candidates = task.examples.scalars('target')[rows].reshape(-1, task.group_size)
            first = rows.reshape(-1, task.group_size)[:, 0]
        else:
            candidates, first = candidates_of(task.examples)[rows], rows
        return candidate_floor_tallies(
            self._ranking, self._cases(task, first), candidates.astype(np.int64), ks
        )

    def fingerprint(self, task: EvaluationTask) -> str:
        """Hash of what they were fitted on, or of themselves."""
        path = self.workspace.splits_path
        if task.answer in TEXT_ANSWERS:
            path = self.workspace.floor_path(task.name)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else 'none'

    @functools.cached_property
    def _ranking(self) -> dict[str, DenseRecommender]:
        return fit_floors(self.workspace.splits.train, len(self.workspace.item_names))

    def _cases(self, task: EvaluationTask, rows: Int[np.ndarray, 'cases']) -> RankingCases:
        """The split's cases of the users that some rows ask about."""
        cases = getattr(self.workspace.splits, self.split)
        users = task.examples.scalars('user')[rows]
        row_of = {user: row for row, user in enumerate(cases.user.tolist())}
        absent = [user for user in users.tolist() if user not in row_of]
        if absent:
            raise ValueError(
                f'{task.name} asks about user {absent[0]}, who has no {self.split} case: run the corpus and '
                'tasks stages again'
            )
        return cases.select(np.asarray([row_of[user] for user in users.tolist()], np.int64))
