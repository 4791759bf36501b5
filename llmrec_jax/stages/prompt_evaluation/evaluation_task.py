"""A materialised evaluation task: its examples, the right answers, and the kind of answer."""

import dataclasses
import difflib
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.evaluation.answer_kinds.all_kinds import answer_kind
from llmrec_jax.evaluation.answer_kinds.kind import AnswerKind, AskedExamples, Scale
from llmrec_jax.training.columns import ColumnStore

NUMBERS = ('user', 'target', 'answer')
NO_CANDIDATE = -1


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationTask:
    """One template's examples of one split.

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
        answer_kind(self.facts['answer'])
        if len(self.references) != len(self.examples):
            raise ValueError(
                f'{self.examples.directory} has {len(self.examples)} examples, but there are '
                f'{len(self.references)} references: run the tasks stage again'
            )

    @property
    def kind(self) -> AnswerKind:
        """The kind of answer."""
        return answer_kind(self.facts['answer'])

    @property
    def template(self) -> str:
        """The template's id."""
        return self.facts['template']

    @property
    def scale(self) -> Scale | None:
        """Fewest and most stars that a rating has, where the answer is one."""
        scale = self.facts['scale']
        return None if scale is None else tuple(scale)

    @property
    def group_size(self) -> int:
        """Rows that are one question; see `AnswerKind.group_size`."""
        return self.kind.group_size(self.facts['n_candidates'])

    @functools.cached_property
    def candidates(self) -> Int[np.ndarray, 'examples candidates'] | None:
        """Rows of the items that each example offers, padded with -1; None where none are offered."""
        return candidates_of(self.examples) if 'candidates' in self.examples.features else None

    def asked(self, rows: Int[np.ndarray, 'asked']) -> AskedExamples:
        """Some of the rows, as kinds of answer judge them."""
        present = [name for name in NUMBERS if name in self.examples.features]
        return AskedExamples(
            references=[self.references[row] for row in rows.tolist()],
            columns={name: self.examples.scalars(name)[rows] for name in present},
            candidates=None if self.candidates is None else self.candidates[rows],
            group_size=self.group_size,
            scale=self.scale,
        )

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 of examples, references and facts."""
        content = [dict(self.facts), self.examples.fingerprint, list(self.references)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def candidates_of(examples: ColumnStore) -> Int[np.ndarray, 'examples candidates']:
    """The column 'candidates', rows of the catalogue, padded with -1."""
    lengths = examples.lengths('candidates')
    longest = int(lengths.max())
    padded = examples.batch(np.arange(len(examples)), {'candidates': longest})['candidates']
    return np.where(np.arange(longest) < lengths[:, None], padded, NO_CANDIDATE).astype(np.int32)


def tasks_of(name: str, mixtures: Mapping[str, Sequence[str]], tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks of a mixture, or the one task of that name.

    Args:
      name: of a mixture or a task.
      mixtures: each with its tasks.
      tasks: all tasks.

    Raises:
      ValueError: when neither bears the name; the message lists what there is, and the nearest.
    """
    if name in mixtures:
        return tuple(mixtures[name])
    if name in tasks:
        return (name,)
    close = difflib.get_close_matches(name, [*mixtures, *tasks], n=1, cutoff=0.4)
    nearest = f'; did you mean {close[0]!r}?' if close else '.'
    raise ValueError(
        f'MIXTURE_OR_TASK_NAME={name!r} is no evaluation mixture or task{nearest} '
        f'Mixtures: {", ".join(sorted(mixtures)) or "none"}. Tasks: {", ".join(sorted(tasks)) or "none"}'
    )
