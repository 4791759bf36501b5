"""A user's profile in words (PALR): how it is asked for, read back, and held to the history.

The paper's own wording is not public; the prompt keeps its parts: the task, the form of the answer with
slots for keywords and for history items, and the history with each item's own keywords. A last measure
tells whether keywords are about the histories that they were written from, or would suit anyone.
"""

import collections
import dataclasses
import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np

from llmrec_jax.prompts.palr.answers import TitleIndex, written_titles

_INSTRUCTION = (
    'Describe what a user likes in {count} keywords.\n'
    'Below is what the user chose, oldest first, each item with its own keywords in brackets. Find the '
    '{count} keywords that tell best what these items have in common. A keyword is one to three words. '
    'Behind each keyword, list the items that show it, by their names exactly as they are written below.\n'
    '\n'
    'Answer in this form and add nothing to it:\n'
    '{form}\n'
    '\n'
    'Items:\n'
    '{items}'
)
_SLOT = 'KEYWORD_{number}: keyword\nHISTORY_ITEMS_{number}: "name", "name"'


@dataclasses.dataclass(frozen=True)
class ShownItem:
    """An item of a history as the prompt shows it.

    Attributes:
      name: without quotation marks; no two items of a history have the same.
      keywords: its own, e.g. genres; may be empty.
    """

    name: str
    keywords: tuple[str, ...] = ()


def profile_prompt(history: Sequence[ShownItem], count: int) -> str:
    """The prompt for `count` keywords of a user with this history, oldest item first.

    Raises:
      ValueError: when there is no item, or no keyword is asked for.
    """
    if not history or count < 1:
        raise ValueError(f'{count} keywords of {len(history)} items cannot be asked for')
    return _INSTRUCTION.format(
        count=count,
        form='\n'.join(_SLOT.format(number=number) for number in range(1, count + 1)),
        items='\n'.join(_line(item) for item in history),
    )


def _line(item: ShownItem) -> str:
    keywords = f' [{", ".join(item.keywords)}]' if item.keywords else ''
    return f'- "{item.name}"{keywords}'


# A model may leave out numbers and line breaks (T5 writes none), or add Markdown.
_WRITTEN_SLOT = re.compile(r'(KEYWORD|HISTORY[ _]ITEMS?)[ _]*\d*[*`]*\s*:', re.IGNORECASE)
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
    slots = list(_WRITTEN_SLOT.finditer(text))
    found: list[tuple[str, list[str]]] = []
    for slot, following in itertools.zip_longest(slots, slots[1:]):
        content = text[slot.end() : following.start() if following else None]
        if slot[1].upper() == 'KEYWORD':
            found.append((' '.join(content.strip(_DECORATION).split()), []))
        elif found:
            found[-1][1].extend(written_titles(content if '"' in content else content.translate(_CURLY)))
    return found


_WORD = re.compile(r'\w+')
# Words of fewer letters are found everywhere.
_SHORTEST = 3


def relation(
    profiles: Mapping[int, Sequence[str]], histories: Mapping[int, Sequence[ShownItem]], seed: int
) -> dict[str, float | int]:
    """How many keywords share a word with the items of the user's history, and with those of someone else's.

    The second is what keywords would reach that say nothing of their user; the same where all users have the
    same taste.

    Args:
      profiles: keywords of each user.
      histories: what each was written from.
      seed: of whose history stands for someone else's.

    Returns:
      'keywords', their number; 'in_own_history' and 'in_another_history', shares in [0, 1], NaN-free: 0 where
      there is no keyword.
    """
    users = [user for user, keywords in profiles.items() if keywords]
    words = {user: _words_of(histories[user]) for user in users}
    others = np.random.default_rng(seed).permutation(len(users)).tolist()
    # A rotation of a drawn order gives everyone another one.
    another = {users[one]: users[other] for one, other in zip(others, [*others[1:], *others[:1]])}
    keywords = [(user, keyword) for user in users for keyword in profiles[user]]
    own = sum(_shares(keyword, words[user]) for user, keyword in keywords)
    anothers = sum(_shares(keyword, words[another[user]]) for user, keyword in keywords)
    count = max(len(keywords), 1)
    return {
        'keywords': len(keywords),
        'in_own_history': round(own / count, 4),
        'in_another_history': round(anothers / count, 4),
    }


def _shares(keyword: str, words: set[str]) -> bool:
    return not words.isdisjoint(_words(keyword))


def _words_of(history: Sequence[ShownItem]) -> set[str]:
    return {word for item in history for text in (item.name, *item.keywords) for word in _words(text)}


def _words(text: str) -> set[str]:
    found = _WORD.findall(unicodedata.normalize('NFKC', text).casefold())
    # 'kettle' and 'kettles' are the same word; no more of grammar is needed to tell users apart.
    return {word.removesuffix('s') for word in found if len(word) >= _SHORTEST}
