"""The floor that answers with what was said most often in training: a majority answer, a stock sentence."""

import collections
import dataclasses
from collections.abc import Hashable, Mapping, Sequence


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
            raise ValueError('the floors have no training texts to count')
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
