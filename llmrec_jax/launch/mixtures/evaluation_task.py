"""A materialised evaluation task as it lies in the workdir: questions, references, and kind of answer."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from llmrec_jax.training.columns import ColumnStore

STARS, YES_NO, LIKE, SENTENCE = 'stars', 'yes_no', 'like', 'sentence'
ITEM, ITEM_OF_CANDIDATES, YES_NO_RANKING = 'item', 'item_of_candidates', 'yes_no_ranking'
ANSWERS = (STARS, YES_NO, LIKE, SENTENCE, ITEM, ITEM_OF_CANDIDATES, YES_NO_RANKING)
FACTS = 'task.json'
REFERENCES = 'references.jsonl'


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationTask:
    """One template's questions about one split.

    Attributes:
      name: the task's, in SeqIO's registry and in the workdir.
      directory: of the split: the columns, and `references.jsonl` beside them.
      facts: what `task.json` says: 'family', 'group', 'template', 'held_out', 'answer', and more.
    """

    name: str
    directory: pathlib.Path
    facts: Mapping[str, Any]

    @classmethod
    def open(cls, tasks_dir: pathlib.Path, name: str, split: str) -> 'EvaluationTask':
        """The task `name` under `tasks_dir`.

        Raises:
          ValueError: when its description is absent or names no kind of answer.
        """
        path = tasks_dir / name / FACTS
        try:
            facts = json.loads(path.read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise ValueError(f'{path}: no description of the task {name!r} ({error})') from error
        if facts.get('answer') not in ANSWERS:
            raise ValueError(f'{path}: answer is {facts.get("answer")!r}, not one of {", ".join(ANSWERS)}')
        return cls(name, tasks_dir / name / split, facts)

    @property
    def answer(self) -> str:
        """The kind of answer, one of `ANSWERS`."""
        return self.facts['answer']

    @property
    def template(self) -> str:
        """The template's id."""
        return self.facts['template']

    @functools.cached_property
    def examples(self) -> ColumnStore:
        """Tokens of inputs and targets, and the numbers that travel beside them."""
        return ColumnStore.open(self.directory)

    @functools.cached_property
    def references(self) -> list[str]:
        """The target's text of each row, as it was rendered.

        Raises:
          ValueError: when there is not one for each row.
        """
        path = self.directory / REFERENCES
        references = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]
        if len(references) != len(self.examples):
            raise ValueError(f'{path} has {len(references)} lines for {len(self.examples)} examples')
        return references

    @property
    def group_size(self) -> int:
        """Rows that are one question: all candidates of a user where each is asked about by itself."""
        return self.facts['n_candidates'] if self.answer == YES_NO_RANKING else 1

    @property
    def fingerprint(self) -> str:
        """sha256 of questions, references and description."""
        content = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode())
        content.update(self.examples.fingerprint.encode())
        content.update((self.directory / REFERENCES).read_bytes())
        return content.hexdigest()
