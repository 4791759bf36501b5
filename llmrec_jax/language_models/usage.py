"""What asking a language model came to: responses, attempts, tokens and money."""

import dataclasses
from typing import Any

from llmrec_jax.language_models.language_model import Answer, TextFailure


@dataclasses.dataclass(frozen=True)
class Prices:
    """What a server charges.

    Attributes:
      input_per_million: for a million tokens read.
      output_per_million: for a million tokens written.
      currency: of both.
    """

    input_per_million: int | float
    output_per_million: int | float
    currency: str = 'USD'

    def cost(self, tokens: 'Tokens') -> float:
        """Of tokens, in `currency`."""
        return (tokens.input * self.input_per_million + tokens.output * self.output_per_million) / 1e6


@dataclasses.dataclass
class Tokens:
    """Tokens of several responses.

    Attributes:
      input: tokens read.
      output: tokens written.
      uncounted: responses whose server did not say how many tokens they were.
    """

    input: int = 0
    output: int = 0
    uncounted: int = 0


@dataclasses.dataclass
class Usage:
    """A tally of answers.

    Attributes:
      responses: requests that were answered.
      from_store: those of them that were not asked for now.
      failures: requests that were not.
      retries: attempts beyond the first of each request.
      now: tokens of responses that were asked for now; what attempts that failed cost is not known.
      before: tokens of responses that were not.
    """

    responses: int = 0
    from_store: int = 0
    failures: int = 0
    retries: int = 0
    now: Tokens = dataclasses.field(default_factory=Tokens)
    before: Tokens = dataclasses.field(default_factory=Tokens)

    def add(self, answer: Answer) -> None:
        """Counts one answer."""
        self.retries += max(answer.attempts - 1, 0)
        if isinstance(answer.outcome, TextFailure):
            self.failures += 1
            return
        self.responses += 1
        self.from_store += answer.attempts == 0
        tokens = self.now if answer.attempts else self.before
        tokens.input += answer.outcome.input_tokens or 0
        tokens.output += answer.outcome.output_tokens or 0
        tokens.uncounted += None in (answer.outcome.input_tokens, answer.outcome.output_tokens)

    def as_dict(self, prices: Prices | None = None) -> dict[str, Any]:
        """As JSON; with what the tokens cost where `prices` are given."""
        counted = dataclasses.asdict(self)
        if prices is not None:
            counted['cost'] = {
                'now': round(prices.cost(self.now), 6),
                'before': round(prices.cost(self.before), 6),
                'currency': prices.currency,
            }
        return counted
