"""Who writes profiles: a language model, or a count that shows what a language model adds to it."""

import collections
import dataclasses
from typing import Any, Protocol, runtime_checkable

from llmrec_jax.language_models.batch_requests import ask_all
from llmrec_jax.language_models.language_model import (
    LanguageModel,
    SamplingSettings,
    TextFailure,
    TextRequest,
    TextResponse,
)
from llmrec_jax.language_models.stored_responses import StoredResponses
from llmrec_jax.language_models.usage import Prices
from llmrec_jax.prompts.palr.profile_text import profile_prompt, read_profile
from llmrec_jax.prompts.palr.profiles import UserProfile
from llmrec_jax.stages.profiled_users import ProfiledUsers


@runtime_checkable
class ProfileWriter(Protocol):
    """A frozen dataclass that writes profiles.

    Attributes:
      keywords: of each user, at most.
    """

    keywords: int

    def write(self, users: ProfiledUsers, responses: str) -> tuple[list[UserProfile], dict[str, Any]]:
        """The profile of each user, and what writing them came to, as JSON.

        Args:
          users: whose, and of what.
          responses: file of the run for what is paid for.
        """


@dataclasses.dataclass(frozen=True)
class WrittenProfiles:
    """Profiles by a language model (PALR), each keyword held to the history.

    A request that fails leaves its user without a profile and is asked again by the next run that writes
    profiles; responses that came are never asked for again.

    Attributes:
      language_model: whom to ask.
      keywords: of each user.
      sampling: how it writes.
      responses: file of the responses, shared by runs that name the same; None for the run's own.
      prices: of the model's tokens; None to tell of no cost.
      max_failed_share: share of the users whose request may fail.
    """

    language_model: LanguageModel
    keywords: int = 2
    sampling: SamplingSettings = dataclasses.field(default_factory=lambda: SamplingSettings(max_tokens=256))
    responses: str | None = None
    prices: Prices | None = None
    max_failed_share: int | float = 0.01

    def __post_init__(self):
        if self.keywords < 1:
            raise ValueError(f'WrittenProfiles.keywords must be at least 1, not {self.keywords}')
        if not 0 <= self.max_failed_share <= 1:
            raise ValueError(
                f'WrittenProfiles.max_failed_share must lie in [0, 1], but is {self.max_failed_share}'
            )

    def write(self, users: ProfiledUsers, responses: str) -> tuple[list[UserProfile], dict[str, Any]]:
        """See `ProfileWriter.write`.

        Raises:
          LanguageModelError: when the model cannot be asked, or too many requests failed.
        """
        model = StoredResponses(self.language_model, self.responses or responses)
        requests = [
            TextRequest(profile_prompt(users.shown(user), self.keywords), self.sampling)
            for user in users.histories
        ]
        asked = ask_all(
            model, requests, prices=self.prices, unit='user', max_failed_share=float(self.max_failed_share)
        )
        profiles = [
            self._read(users, user, outcome)
            for user, outcome in zip(users.histories, asked.outcomes, strict=True)
        ]
        responded = [outcome for outcome in asked.outcomes if isinstance(outcome, TextResponse)]
        return profiles, {
            'model': model.name,
            'answered_by': sorted({response.model for response in responded}),
            'ended_by': dict(collections.Counter(response.finish for response in responded)),
            'usage': asked.usage.as_dict(self.prices),
        }

    def _read(self, users: ProfiledUsers, user: int, outcome: TextResponse | TextFailure) -> UserProfile:
        if isinstance(outcome, TextFailure):
            return UserProfile(user, {}, failed=outcome.reason)
        read = read_profile(outcome.text, users.shown(user), self.keywords)
        history = users.histories[user]
        keywords = {word: tuple(history[place] for place in places) for word, places in read.keywords.items()}
        return UserProfile(user, keywords, read.rejected)


@dataclasses.dataclass(frozen=True)
class CountedProfiles:
    """The categories that most items of a history share: what a language model's keywords must beat.

    Attributes:
      keywords: of each user, at most; those that stand for more items first, then those that fewer items of
        the catalogue have.
    """

    keywords: int = 2

    def write(self, users: ProfiledUsers, responses: str) -> tuple[list[UserProfile], dict[str, Any]]:
        """See `ProfileWriter.write`; nothing is paid for."""
        del responses
        everywhere = collections.Counter(word for item in users.items for word in set(item.keywords))
        profiles = []
        for user, history in users.histories.items():
            having: dict[str, list[int]] = {}
            for item in history:
                for word in dict.fromkeys(users.items[item].keywords):
                    having.setdefault(word, []).append(item)
            ranked = sorted(having, key=lambda word: (-len(having[word]), everywhere[word], word))
            kept = ranked[: self.keywords]
            profiles.append(UserProfile(user, {word: tuple(having[word]) for word in kept}))
        return profiles, {'model': 'counts of categories'}
