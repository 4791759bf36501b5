"""A materialised evaluation task: questions, references, and the kind of answer that is asked for."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmrec_jax.training.columns import ColumnStore

if TYPE_CHECKING:
    from llmrec_jax.launch.text_workspace import TextWorkspace

STARS, SENTENCE = 'stars', 'sentence'
YES_NO, LIKE = 'yes_no', 'like'
ITEM, ITEM_OF_CANDIDATES, YES_NO_RANKING = 'item', 'item_of_candidates', 'yes_no_ranking'
ITEM_LIST = 'item_list'
ANSWERS = (STARS, YES_NO, LIKE, SENTENCE, ITEM, ITEM_OF_CANDIDATES, YES_NO_RANKING, ITEM_LIST)


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationTask:
    """One template's questions about one split.

    Attributes:
      name: the task's, in SeqIO's registry and in the workdir.
      facts: what the workdir's `task.json` says: 'family', 'group', 'template', 'held_out', 'answer'.
      examples: tokens of inputs and targets, and the numbers that travel beside them.
      references: the target of each row as it was rendered.

    Raises:
      ValueError: when the facts name no kind of answer, or there is not a reference for each row.
    """

    name: str
    facts: Mapping[str, Any]
    examples: ColumnStore
    references: Sequence[str]

    def __post_init__(self):
        if self.answer not in ANSWERS:
            raise ValueError(
                f'task {self.name!r} asks for {self.answer!r}, which is none of {", ".join(ANSWERS)}'
            )
        if len(self.references) != len(self.examples):
            raise ValueError(
                f'{self.examples.directory} has {len(self.examples)} examples, but there are '
                f'{len(self.references)} references: run the tasks stage again'
            )

    @classmethod
    def of(cls, workspace: 'TextWorkspace', name: str, split: str) -> 'EvaluationTask':
        """The task as it lies in a workdir.

        Raises:
          ColumnError: when its examples are absent or damaged.
        """
        examples = workspace.examples(name, split)
        return cls(name, workspace.task_facts(name), examples, workspace.references(name, split))

    @property
    def answer(self) -> str:
        """The kind of answer, one of `ANSWERS`."""
        return self.facts['answer']

    @property
    def template(self) -> str:
        """The template's id."""
        return self.facts['template']

    @property
    def scale(self) -> tuple[float, float]:
        """Fewest and most stars that a rating has, where the answer is one."""
        lowest, highest = self.facts['scale']
        return lowest, highest

    @property
    def group_size(self) -> int:
        """Rows that are one question: all candidates of a user where each is asked about by itself."""
        return self.facts['n_candidates'] if self.answer == YES_NO_RANKING else 1

    @property
    def fingerprint(self) -> str:
        """sha256 of questions, references and facts."""
        content = [dict(self.facts), self.examples.fingerprint, list(self.references)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
