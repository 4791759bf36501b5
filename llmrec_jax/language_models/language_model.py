"""The one interface of text generation: what a language model is asked, and what comes back.

It is a server, a local network, or responses that were stored before.
"""

import abc
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class SamplingSettings:
    """How a text is drawn; all of it enters the key under which a response is stored.

    Attributes:
      max_tokens: tokens written at most.
      temperature: 0 takes the likeliest token at each step; None leaves it to the model, as servers want it
        that set it themselves.
      top_p: in (0, 1]; draws from the fewest tokens that hold this probability; 1 keeps all.
      stop: texts that end the response and are no part of it.
      seed: of the draw, sent to servers that take one; None leaves it to the model.

    Raises:
      ValueError: when one is none that can be had.
    """

    max_tokens: int
    temperature: int | float | None = 0.0
    top_p: int | float = 1.0
    stop: Sequence[str] = ()
    seed: int | None = None

    def __post_init__(self):
        # Gin hands over lists, and whole numbers for others; 0 and 0.0 must not be stored apart.
        object.__setattr__(self, 'stop', tuple(self.stop))
        object.__setattr__(self, 'top_p', float(self.top_p))
        if self.temperature is not None:
            object.__setattr__(self, 'temperature', float(self.temperature))
        if self.max_tokens < 1:
            raise ValueError(f'SamplingSettings.max_tokens must be at least 1, not {self.max_tokens}')
        if self.temperature is not None and not 0 <= self.temperature < float('inf'):
            raise ValueError(f'SamplingSettings.temperature must not be negative, but is {self.temperature}')
        if not 0 < self.top_p <= 1:
            raise ValueError(f'SamplingSettings.top_p must be in (0, 1], not {self.top_p}')
        if '' in self.stop:
            raise ValueError("SamplingSettings.stop cannot have '', which would end every response at once")


@dataclasses.dataclass(frozen=True)
class TextRequest:
    """One text to be written.

    Attributes:
      prompt: what the model reads.
      sampling: how it writes.
      system: instructions before the prompt, where the model tells the two apart; '' for none.
      draw: tells requests apart that are alike otherwise, so that a model that draws is asked anew.
    """

    prompt: str
    sampling: SamplingSettings
    system: str = ''
    draw: int = 0

    def key(self, model: str) -> str:
        """The sha256 under which the response of the model called `model` is stored.

        What is at the value that asks for nothing special is left out, so that a setting which this library
        learns later changes no key of responses that were paid for before.
        """
        sampling = dataclasses.asdict(self.sampling)
        special = {
            name: value
            for name, value in sampling.items()
            if name not in _NOTHING_SPECIAL or value != _NOTHING_SPECIAL[name]
        }
        described: dict[str, Any] = {'model': model, 'prompt': self.prompt, 'sampling': special}
        if self.system:
            described['system'] = self.system
        if self.draw:
            described['draw'] = self.draw
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


_NOTHING_SPECIAL = {'top_p': 1.0, 'stop': (), 'seed': None}


@dataclasses.dataclass(frozen=True)
class TextResponse:
    """What a model wrote.

    Attributes:
      text: without the text that ended it.
      finish: why it ended: 'stop' where the model or a stop text ended it, 'length' where it was cut at
        `max_tokens`, else the server's own word.
      input_tokens: tokens read; None where the server does not say.
      output_tokens: tokens written; None where the server does not say.
      model: the model that answered, as it calls itself, which may be more exact than what was asked for.
    """

    text: str
    finish: str
    input_tokens: int | None
    output_tokens: int | None
    model: str


@dataclasses.dataclass(frozen=True)
class TextFailure:
    """A request without a response.

    Attributes:
      reason: in words, those of the server among them; never holds a key.
    """

    reason: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
      index: place of the request among those that were asked together.
      outcome: the response, or why there is none.
      attempts: how often the model was asked for it now; 0 where the response was stored.
    """

    index: int
    outcome: TextResponse | TextFailure
    attempts: int = 1


class LanguageModelError(RuntimeError):
    """Why no request can be answered any more; what was answered before is stored."""


class LanguageModel(abc.ABC):
    """Writes texts. Whoever asks knows neither where it runs nor whether a response is new."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Tells this model from every other, weights included where they are at hand; part of every key."""

    @abc.abstractmethod
    def answers(self, requests: Sequence[TextRequest]) -> Iterator[Answer]:
        """One answer for each request, as soon as it is there, in any order.

        A request that cannot be answered gives a `TextFailure`, and the others go on.

        Raises:
          LanguageModelError: when none can be answered any more, as with a wrong key.
        """

    def complete(self, requests: Sequence[TextRequest]) -> list[TextResponse]:
        """The response to each request, in their order.

        Raises:
          LanguageModelError: see `answers`; and when a request failed, after the others were answered.
        """
        outcomes = {answer.index: answer.outcome for answer in self.answers(requests)}
        in_order = [outcomes[index] for index in range(len(requests))]
        check_failures(self.name, in_order)
        return in_order


def check_failures(
    model: str, outcomes: Sequence[TextResponse | TextFailure], max_failed_share: float = 0.0
) -> None:
    """Looks whether enough requests were answered.

    Args:
      model: name of who was asked.
      outcomes: of all requests.
      max_failed_share: share of them that may have failed.

    Raises:
      LanguageModelError: when more have.
    """
    failed = [outcome for outcome in outcomes if isinstance(outcome, TextFailure)]
    if len(failed) > max_failed_share * len(outcomes):
        raise LanguageModelError(
            f'{len(failed)} of {len(outcomes)} requests to {model} failed, one of them: {failed[0].reason}; '
            'the others were answered'
        )
