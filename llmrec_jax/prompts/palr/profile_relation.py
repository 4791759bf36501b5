"""Whether keywords are about the histories that they were written from, or would suit anyone."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np

from llmrec_jax.prompts.palr.profile_prompt import ShownItem

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
