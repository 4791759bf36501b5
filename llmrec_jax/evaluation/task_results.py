"""What a model reached on one task of an evaluation mixture, and what the floors do on the same examples."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from llmrec_jax.evaluation.metric_estimates import Measured


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """The result of one task, a template over the test records of its group.

    Attributes:
      task: SeqIO's name of the task.
      family: e.g. 'rating'.
      group: e.g. 'rating_stars'.
      template: id of the template, e.g. '1-10'.
      held_out: whether training never showed the template.
      answer: name of the kind of answer; see `answer_kinds`.
      measured: the model's metrics.
      floors: metrics of each floor on the same examples.
      seconds: wall time that the model took to answer.
    """

    task: str
    family: str
    group: str
    template: str
    held_out: bool
    answer: str
    measured: Measured
    floors: Mapping[str, Measured]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; `from_dict` reads it."""
        return {
            'task': self.task,
            'family': self.family,
            'group': self.group,
            'template': self.template,
            'held_out': self.held_out,
            'answer': self.answer,
            'metrics': dict(self.measured.metrics),
            'intervals': {name: list(ends) for name, ends in self.measured.intervals.items()},
            'floors': {name: floor.as_dict() for name, floor in self.floors.items()},
            'examples': self.measured.examples,
            'seconds': self.seconds,
        }

    def renamed(self, rename: Callable[[str], str]) -> 'TaskResult':
        """The same with other names of metrics."""
        floors = {name: floor.renamed(rename) for name, floor in self.floors.items()}
        return dataclasses.replace(self, measured=self.measured.renamed(rename), floors=floors)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> 'TaskResult':
        """Reads what `as_dict` gave.

        Raises:
          ValueError: naming the field, when one is missing or unknown.
        """
        fields = {field.name for field in dataclasses.fields(cls)} - {'measured'}
        expected = fields | {'metrics', 'intervals', 'examples'}
        wrong = sorted(expected ^ values.keys())
        if wrong:
            state = 'unknown' if wrong[0] in values else 'missing'
            raise ValueError(
                f'the result of {values.get("task", "a task")}: the field {wrong[0]!r} is {state}'
            )
        measured = Measured.from_dict(
            {**values['metrics'], 'intervals': values['intervals'], 'examples': values['examples']}
        )
        floors = {name: Measured.from_dict(floor) for name, floor in values['floors'].items()}
        others = {name: values[name] for name in fields - {'floors'}}
        return cls(**others, measured=measured, floors=floors)
