"""Baselines of tasks that are answered in words: fitted on training answers, and kept as JSON.

What was said most often in training is one of them: a majority answer, a stock sentence.
"""

import abc
import collections
import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.evaluation.baselines.rating_means import UNKNOWN, RatingMeans
from llmrec_jax.evaluation.metric_estimates import MetricEstimates
from llmrec_jax.evaluation.rating_metrics import predicted_rating_estimates, true_stars


@dataclasses.dataclass(frozen=True)
class FrequentText:
    """The most frequent training text, of all and of each key.

    Attributes:
      text: of all.
      of_key: of each key that training has, e.g. of each item.
    """

    text: str
    of_key: Mapping[Hashable, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def fit(cls, texts: Sequence[str], keys: Sequence[Hashable] | None = None) -> 'FrequentText':
        """Counts; of texts that are equally frequent, the first in the order of their letters is taken.

        Args:
          texts: of training, space around them left out.
          keys: what each is about; None for one answer to everything.

        Raises:
          ValueError: when there are no texts, or another number of keys.
        """
        if not texts:
            raise ValueError('the baselines have no training texts to count')
        if keys is not None and len(keys) != len(texts):
            raise ValueError(f'there are {len(keys)} keys to {len(texts)} training texts')
        counted: dict[Hashable, collections.Counter] = collections.defaultdict(collections.Counter)
        for text, key in zip(texts, keys or ()):
            counted[key][text.strip()] += 1
        return cls(
            _most_frequent(collections.Counter(text.strip() for text in texts)),
            {key: _most_frequent(counts) for key, counts in counted.items()},
        )

    def answers(self, keys: Sequence[Hashable]) -> list[str]:
        """The answer about each key; the one of all where training has nothing of it."""
        return [self.of_key.get(key, self.text) for key in keys]


def _most_frequent(counts: collections.Counter) -> str:
    return min(counts, key=lambda text: (-counts[text], text))


class FittedBaselines(abc.ABC):
    """What was fitted on the training answers to one question."""

    @abc.abstractmethod
    def as_json(self) -> dict[str, Any]:
        """What `of_json` reads."""

    @abc.abstractmethod
    def without_items(self) -> 'FittedBaselines':
        """The same where the rows of items are not those of training, as in a transfer to another corpus."""


@dataclasses.dataclass(frozen=True)
class RatingBaselines(FittedBaselines):
    """Means of ratings.

    Attributes:
      means: each by its name in the results.
      scale: fewest and most stars.
      knows_items: whether the rows of items are those of training.
    """

    means: Mapping[str, RatingMeans]
    scale: tuple[float, float] = (1.0, 5.0)
    knows_items: bool = True

    def estimates(
        self, targets: Sequence[str], user: Int[np.ndarray, 'examples'], item: Int[np.ndarray, 'examples']
    ) -> dict[str, MetricEstimates]:
        """Metrics of each mean, as `rating_estimates` names them.

        Args:
          targets: the ratings given, as texts.
          user: row of each example's user; -1 where training does not know them.
          item: row of each example's item; -1 where training does not know it.

        Raises:
          ValueError: when a target is no rating.
        """
        truth = true_stars(targets, *self.scale)
        known = item.astype(np.int64) if self.knows_items else np.full(len(item), UNKNOWN)
        return {
            name: predicted_rating_estimates(truth, mean.stars(user.astype(np.int64), known), *self.scale)
            for name, mean in self.means.items()
        }

    def as_json(self) -> dict[str, Any]:
        """See `FittedBaselines`."""
        means = {
            name: {'mean': one.mean, 'of_user': one.of_user.tolist(), 'of_item': one.of_item.tolist()}
            for name, one in self.means.items()
        }
        return {'means': means, 'scale': list(self.scale), 'knows_items': self.knows_items}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> 'RatingBaselines':
        """The baselines that `as_json` described."""
        means = {
            name: RatingMeans(one['mean'], np.asarray(one['of_user']), np.asarray(one['of_item']))
            for name, one in content['means'].items()
        }
        return cls(means, tuple(content['scale']), content['knows_items'])

    def without_items(self) -> 'RatingBaselines':
        """See `FittedBaselines`."""
        return dataclasses.replace(self, knows_items=False)


@dataclasses.dataclass(frozen=True)
class TextBaselines(FittedBaselines):
    """The most frequent training text, of all and of each item; `knows_items` as in `RatingBaselines`."""

    text: FrequentText
    knows_items: bool = True

    def answers(self, name: str, items: Sequence[int]) -> dict[str, list[str]]:
        """The texts of each baseline: `name`, and `<name>_of_item` where items are known.

        Args:
          name: what the most frequent text of all is called.
          items: what each example is about.
        """
        given = {name: [self.text.text] * len(items)}
        return given | ({f'{name}_of_item': self.text.answers(items)} if self.knows_items else {})

    def as_json(self) -> dict[str, Any]:
        """See `FittedBaselines`."""
        of_item = [[item, text] for item, text in self.text.of_key.items()]
        return {'text': self.text.text, 'of_item': of_item, 'knows_items': self.knows_items}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> 'TextBaselines':
        """The baselines that `as_json` described."""
        of_item = {item: text for item, text in content['of_item']}
        return cls(FrequentText(content['text'], of_item), content['knows_items'])

    def without_items(self) -> 'TextBaselines':
        """See `FittedBaselines`."""
        return dataclasses.replace(self, knows_items=False)
