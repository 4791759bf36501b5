"""Reading a written list of titles back, and filling it up with what the retriever found."""

import dataclasses
import re
import unicodedata
from collections.abc import Sequence

_QUOTED = re.compile(r'"([^"]*)"')


def written_titles(text: str) -> list[str]:
    """The quoted texts of an answer in order; where nothing is quoted, what commas part.

    A quote that nothing closes, as at the end of an answer that was cut, begins a title that is not whole and
    is left out.
    """
    titles = _QUOTED.findall(text) if '"' in text else text.split(',')
    return [title.strip() for title in titles if title.strip()]


class TitleIndex:
    """Items by their names, as they are or but for case, white space and Unicode's compatible forms."""

    def __init__(self, names: Sequence[str]):
        """Takes the names of all items, by row.

        Raises:
          ValueError: when two names are the same but for white space.
        """
        self._exact: dict[str, int] = {}
        folded: dict[str, int | None] = {}
        for item, name in enumerate(names):
            key = ' '.join(name.split())
            if self._exact.setdefault(key, item) != item:
                raise ValueError(f'items {self._exact[key]} and {item} are both called {key!r}')
            # Names that differ by case alone are told apart only where they are written exactly.
            folded[_folded(name)] = None if _folded(name) in folded else item
        self._folded = {name: item for name, item in folded.items() if item is not None}

    def find(self, title: str) -> int | None:
        """Row of the item of that name; None where there is none."""
        exact = self._exact.get(' '.join(title.split()))
        return self._folded.get(_folded(title)) if exact is None else exact


@dataclasses.dataclass(frozen=True)
class ReadAnswer:
    """What an answer names.

    Attributes:
      items: rows of the items it may name, in its order, each once.
      written: titles in the answer.
      invalid: those of them that are no item it may name.
      repeated: those that were written before.
    """

    items: tuple[int, ...]
    written: int
    invalid: int
    repeated: int


def read_answer(text: str, index: TitleIndex, allowed: Sequence[int] | None = None) -> ReadAnswer:
    """Reads an answer; whatever text it is, no item comes out twice and none that is not allowed.

    Args:
      text: as the model wrote it.
      index: the items' names.
      allowed: rows of the candidates; None for the whole catalogue.
    """
    may_be = None if allowed is None else frozenset(allowed)
    titles = written_titles(text)
    found: dict[int, None] = {}
    invalid = repeated = 0
    for title in titles:
        item = index.find(title)
        if item is None or (may_be is not None and item not in may_be):
            invalid += 1
        elif item in found:
            repeated += 1
        else:
            found[item] = None
    return ReadAnswer(tuple(found), len(titles), invalid, repeated)


def filled_up(items: Sequence[int], candidates: Sequence[int], wanted: int) -> tuple[list[int], int]:
    """The first `wanted` items, filled up with candidates that are not among them, best first.

    Args:
      items: what the answer names, each once.
      candidates: in the retriever's order, each once.
      wanted: length of the list; it is shorter where there are fewer in all.

    Returns:
      The list, and how many of it are filled in.
    """
    named = list(items)[:wanted]
    taken = set(named)
    more = [item for item in candidates if item not in taken][: wanted - len(named)]
    return named + more, len(more)


def _folded(name: str) -> str:
    return ' '.join(unicodedata.normalize('NFKC', name).casefold().split())
