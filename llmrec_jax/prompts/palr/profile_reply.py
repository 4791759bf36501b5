"""Reading a written profile back, and holding it to the history that it was written from."""

import collections
import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence

from llmrec_jax.prompts.palr.answers import TitleIndex, written_titles
from llmrec_jax.prompts.palr.profile_prompt import ShownItem

# A model may leave out numbers and line breaks (T5 writes none), or add Markdown.
_SLOT = re.compile(r'(KEYWORD|HISTORY[ _]ITEMS?)[ _]*\d*[*`]*\s*:', re.IGNORECASE)
_DECORATION = ' \t\r\n*`"\'-.,;:[]()'
_CURLY = str.maketrans('“”„', '"""')
MOST_WORDS = 5

# Why a keyword is rejected.
TOO_LONG = 'no keyword'
NO_ITEMS = 'no items'
OUTSIDE_HISTORY = 'items outside the history'
REPEATED = 'repeated'
TOO_MANY = 'more than asked for'


@dataclasses.dataclass(frozen=True)
class ReadProfile:
    """A profile that was held to its history.

    Attributes:
      keywords: keyword to the places in the history of the items that show it; in the order written.
      rejected: reason to the keywords that were rejected for it.
    """

    keywords: Mapping[str, tuple[int, ...]]
    rejected: Mapping[str, int]


def read_profile(text: str, history: Sequence[ShownItem], count: int) -> ReadProfile:
    """Reads a reply to `profile_prompt(history, count)`; any text gives a profile, if an empty one.

    A keyword is kept that names items of the history and no others: one that cites what the user never had
    was not read off the history, whatever it is.

    Args:
      text: as the model wrote it.
      history: what was shown.
      count: keywords asked for.

    Raises:
      ValueError: when two items of the history have the same name.
    """
    index = TitleIndex([item.name for item in history])
    keywords: dict[str, tuple[int, ...]] = {}
    rejected: collections.Counter[str] = collections.Counter()
    for keyword, cited in written_keywords(text):
        places = [index.find(title) for title in cited]
        if not keyword or len(keyword.split()) > MOST_WORDS:
            rejected[TOO_LONG] += 1
        elif not places:
            rejected[NO_ITEMS] += 1
        elif None in places:
            rejected[OUTSIDE_HISTORY] += 1
        elif keyword.casefold() in map(str.casefold, keywords):
            rejected[REPEATED] += 1
        elif len(keywords) == count:
            rejected[TOO_MANY] += 1
        else:
            keywords[keyword] = tuple(sorted({place for place in places if place is not None}))
    return ReadProfile(keywords, dict(rejected))


def written_keywords(text: str) -> list[tuple[str, list[str]]]:
    """Each keyword in a reply with the names behind it."""
    slots = list(_SLOT.finditer(text))
    found: list[tuple[str, list[str]]] = []
    for slot, following in itertools.zip_longest(slots, slots[1:]):
        content = text[slot.end() : following.start() if following else None]
        if slot[1].upper() == 'KEYWORD':
            found.append((' '.join(content.strip(_DECORATION).split()), []))
        elif found:
            found[-1][1].extend(written_titles(content if '"' in content else content.translate(_CURLY)))
    return found
