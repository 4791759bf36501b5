"""Profiles on disk: the keywords of each user, as prompts show them.

`profiles.jsonl` has a line that says what they were made of, then a line a user:
`{"user": row, "keywords": {keyword: [items]}, "rejected": {reason: keywords}}`, with "failed", the reason,
for one that was not written.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from llmrec_jax.corpora.raw_files import numbered_lines
from llmrec_jax.files import text_written_whole


@dataclasses.dataclass(frozen=True)
class UserProfile:
    """What a user likes.

    Attributes:
      user: row of the user.
      keywords: keyword to the rows of the items in the user's training history that show it.
      rejected: reason to the number of keywords that were rejected for it; see `profile_text`.
      failed: why there is no profile; None where one was written.
    """

    user: int
    keywords: Mapping[str, tuple[int, ...]]
    rejected: Mapping[str, int] = dataclasses.field(default_factory=dict)
    failed: str | None = None


@dataclasses.dataclass(frozen=True)
class Profiles:
    """Profiles of the users of one corpus.

    Attributes:
      corpus: fingerprint of the corpus.
      users: row of a user to the profile.
    """

    corpus: str
    users: Mapping[int, UserProfile]

    def keywords(self, user: int) -> tuple[str, ...]:
        """The keywords of the user at a row, in order; none where there is no profile."""
        return tuple(self.users[user].keywords) if user in self.users else ()

    def check_corpus(self, fingerprint: str) -> None:
        """Looks whether the rows mean users and items of a corpus.

        Raises:
          ValueError: when they are of another corpus.
        """
        if fingerprint != self.corpus:
            raise ValueError(
                f'the profiles are of the corpus {self.corpus[:12]}, and this is {fingerprint[:12]}: write '
                'profiles of this one'
            )


def save_profiles(path: str | os.PathLike, corpus: str, profiles: Iterable[UserProfile]) -> None:
    """Writes profiles, whole or not at all.

    Raises:
      OSError: naming the file, when it cannot be written.
    """
    with text_written_whole(path) as file:
        file.write(json.dumps({'corpus': corpus}) + '\n')
        for profile in profiles:
            line: dict[str, Any] = {
                name: value for name, value in dataclasses.asdict(profile).items() if value is not None
            }
            file.write(json.dumps(line, ensure_ascii=False) + '\n')


def load_profiles(path: str | os.PathLike) -> Profiles:
    """Reads what `save_profiles` wrote.

    Raises:
      FileNotFoundError: when it is not there.
      ValueError: naming the line that is no profile.
    """
    users: dict[int, UserProfile] = {}
    corpus = ''
    for number, line in numbered_lines(pathlib.Path(path)):
        try:
            record = json.loads(line)
            if number == 1:
                corpus = record['corpus']
                continue
            record['keywords'] = {word: tuple(items) for word, items in record['keywords'].items()}
            users[record['user']] = UserProfile(**record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f'{path}, line {number}: no profile ({error}); delete the file and write them again'
            ) from error
    return Profiles(corpus, users)
