"""What a naming scheme is."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import Sequences


@runtime_checkable
class ItemNaming(Protocol):
    """A frozen dataclass that names items.

    Attributes:
      leaks: whether names are known to tell of events that are held out.
    """

    leaks: ClassVar[bool]

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """One name an item, no two alike.

        Args:
          corpus: a scheme that reads more of its events than `train` holds leaks.
          train: training history of each user.
        """


@runtime_checkable
class UserNaming(Protocol):
    """A frozen dataclass that names users."""

    def user_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """One name a user, no two alike.

        Args:
          corpus: whose users they are.
          train: training history of each user; a scheme that reads other events leaks.
        """


def distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that come again: 'Hamlet', 'Hamlet (2)', 'Hamlet (3)'."""
    taken = set(names)
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = number = seen.get(name, 0) + 1
        if number == 1:
            result.append(name)
            continue
        while (numbered := f'{name} ({number})') in taken:
            number += 1
        taken.add(numbered)
        result.append(numbered)
    return result
