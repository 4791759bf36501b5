"""What is asked of a system that answers texts by texts."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class WrittenText(NamedTuple):
    """An answer.

    Attributes:
      text: what was written.
      score: its log-probability.
      cut: whether the question was longer than the system reads, and was cut at its end.
    """

    text: str
    score: float
    cut: bool


@runtime_checkable
class TextWriter(Protocol):
    """A system that answers texts."""

    def write(self, texts: Sequence[str]) -> Iterator[WrittenText]:
        """The answer to each text, in their order."""
        ...
