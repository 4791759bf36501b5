"""Floors of tasks answered in words: fitted on training answers, kept as files, judged on any rows."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.evaluation.floors.frequent_text import FrequentText
from llmrec_jax.evaluation.floors.rating_means import UNKNOWN, RatingMeans
from llmrec_jax.evaluation.floors.text_floors import frequent_text_tallies, rating_floor_tallies
from llmrec_jax.evaluation.measured import Tally
from llmrec_jax.files import write_json
from llmrec_jax.launch.mixtures.evaluation_task import STARS, EvaluationTask


@dataclasses.dataclass(frozen=True)
class StarsFloors:
    """Means of ratings.

    Attributes:
      means: each by its name in the results.
      knows_items: whether the rows of items are those of training.
    """

    means: Mapping[str, RatingMeans]
    knows_items: bool = True

    def tallies(self, task: EvaluationTask, rows: Int[np.ndarray, 'asked']) -> dict[str, Tally]:
        """Metrics of each floor on some rows of a task."""
        item = task.examples.scalars('target')[rows].astype(np.int64)
        return rating_floor_tallies(
            self.means,
            task.examples.scalars('user')[rows].astype(np.int64),
            item if self.knows_items else np.full_like(item, UNKNOWN),
            [task.references[row] for row in rows],
            *task.scale,
        )

    def as_json(self) -> dict[str, Any]:
        """What `of_json` reads."""
        means = {
            name: {'mean': one.mean, 'of_user': one.of_user.tolist(), 'of_item': one.of_item.tolist()}
            for name, one in self.means.items()
        }
        return {'means': means, 'knows_items': self.knows_items}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> 'StarsFloors':
        """The floors that `as_json` described."""
        means = {
            name: RatingMeans(one['mean'], np.asarray(one['of_user']), np.asarray(one['of_item']))
            for name, one in content['means'].items()
        }
        return cls(means, content['knows_items'])


@dataclasses.dataclass(frozen=True)
class TextFloor:
    """The most frequent text; attributes as in `StarsFloors`."""

    text: FrequentText
    knows_items: bool = True

    def tallies(self, task: EvaluationTask, rows: Int[np.ndarray, 'asked']) -> dict[str, Tally]:
        """Metrics of each floor on some rows of a task."""
        items: Sequence[int] | None = None
        if self.knows_items:
            items = task.examples.scalars('target')[rows].tolist()
        targets = [task.references[row] for row in rows]
        return frequent_text_tallies(task.answer, self.text, targets, items)

    def as_json(self) -> dict[str, Any]:
        """What `of_json` reads."""
        of_item = [[item, text] for item, text in self.text.of_key.items()]
        return {'text': self.text.text, 'of_item': of_item, 'knows_items': self.knows_items}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> 'TextFloor':
        """The floor that `as_json` described."""
        of_item = {item: text for item, text in content['of_item']}
        return cls(FrequentText(content['text'], of_item), content['knows_items'])


FittedFloor = StarsFloors | TextFloor


def save_floor(floor: FittedFloor, path: pathlib.Path) -> None:
    """Writes a floor whole or not at all."""
    write_json(path, floor.as_json())


def load_floor(path: pathlib.Path, answer: str) -> FittedFloor:
    """The floor of tasks with that kind of answer."""
    content = json.loads(path.read_text())
    return (StarsFloors if answer == STARS else TextFloor).of_json(content)
