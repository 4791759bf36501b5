"""What one checkpoint reached on a mixture."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from llmrec_jax.evaluation.task_results import TaskResult
from llmrec_jax.files import write_json


@dataclasses.dataclass(frozen=True)
class MixtureResults:
    """The results of all tasks of a mixture.

    Attributes:
      mixture: its name, or that of a single task.
      system: what the trained system is called.
      checkpoint: the folder the parameters came from.
      parameters: their hash, see `params_fingerprint`.
      answering: how the system was asked, as JSON.
      tasks: the results, in the mixture's order.
      environment: where and with which versions.
    """

    mixture: str
    system: str
    checkpoint: str
    parameters: str
    answering: Mapping[str, Any]
    tasks: tuple[TaskResult, ...]
    environment: Mapping[str, Any]

    def save(self, path: pathlib.Path) -> None:
        """Writes the results as JSON, whole or not at all."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        write_json(path, {**fields, 'tasks': [task.as_dict() for task in self.tasks]})

    @classmethod
    def load(cls, path: pathlib.Path) -> 'MixtureResults':
        """Reads what `save` wrote."""
        fields = json.loads(path.read_text())
        return cls(**{**fields, 'tasks': tuple(TaskResult.from_dict(task) for task in fields['tasks'])})
