"""What is remembered of a finished stage."""

import dataclasses
import json
import pathlib
from typing import Any

from llmrec_jax.files import read_text
from llmrec_jax.runs.artifact import Artifact

RECORDS = 'stages'


@dataclasses.dataclass(frozen=True)
class StageRecord:
    """A finished stage.

    Attributes:
      name: the stage's name.
      fingerprint: hash of its configuration and of the fingerprints of the stages it needs.
      config: its configuration, as the fingerprint describes it.
      seconds: wall time of the run that did the work.
      peak_memory_mb: largest resident memory of the process while it ran.
      facts: what the stage told of its work.
      reused: whether this run found it done.
    """

    name: str
    fingerprint: str
    config: Any
    seconds: float
    peak_memory_mb: float
    facts: dict[str, Any]
    reused: bool = False


class RecordError(ValueError):
    """A record that is damaged or of another version."""


def record_path(root: pathlib.Path, name: str) -> pathlib.Path:
    """Where the record of a finished stage lies."""
    return root / RECORDS / f'{name}.json'


def load_record(path: pathlib.Path) -> StageRecord:
    """Reads a record.

    Raises:
      RecordError: when it is damaged, or is of the form that an earlier version wrote.
    """
    try:
        return StageRecord(**json.loads(read_text(path)))
    except (json.JSONDecodeError, TypeError) as error:
        raise RecordError(
            f'{path} is no stage record ({error}); delete it, and its stage runs again'
        ) from error


def facts_of(stage: str) -> Artifact[dict[str, Any]]:
    """What a finished stage of that name told of its work."""
    return Artifact(f'{RECORDS}/{stage}.json', load=lambda path: load_record(path).facts)
