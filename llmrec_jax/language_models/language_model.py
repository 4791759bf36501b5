"""The one interface of text generation: a server, a local network, or responses that were stored before."""

import abc
from collections.abc import Iterator, Sequence

from llmrec_jax.language_models.request import Answer, TextFailure, TextRequest, TextResponse


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
