"""What a report is made of, as plain data: it can be rendered again from `results.json` and a few extras."""

import dataclasses
from collections.abc import Mapping, Sequence

from llmrec_jax.evaluation.report.system_names import system_label
from llmrec_jax.evaluation.results import Results


@dataclasses.dataclass(frozen=True)
class Curve:
    """A number over training steps, or over anything that is counted.

    Attributes:
      title: e.g. 'Training loss'.
      steps: ascending; whole numbers where they are counted.
      values: one a step; None where it was not finite.
      best: 'low' or 'high', whichever is better; that point is marked. None marks none.
      across: what the steps count, as the axis says.
    """

    title: str
    steps: Sequence[int | float]
    values: Sequence[float | int | None]
    best: str | None = None
    across: str = 'step'

    def __post_init__(self):
        if len(self.steps) != len(self.values):
            raise ValueError(
                f'curve {self.title!r} has {len(self.steps)} steps and {len(self.values)} values'
            )
        if self.best not in (None, 'low', 'high'):
            raise ValueError(f"curve {self.title!r}: best is {self.best!r}; it must be 'low', 'high' or None")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG with words to it.

    Raises:
      ValueError: when the bytes are not a PNG.
    """

    title: str
    caption: str
    png: bytes

    def __post_init__(self):
        if not self.png.startswith(b'\x89PNG\r\n\x1a\n'):
            raise ValueError(f'picture {self.title!r} is not a PNG')


@dataclasses.dataclass(frozen=True)
class ListedItem:
    """An item as it is shown, and whether it is the one that came next."""

    title: str
    is_target: bool


@dataclasses.dataclass(frozen=True)
class UserExample:
    """One user's history, what came next, and what each system listed.

    Attributes:
      user: how the user is called.
      history: titles, oldest first.
      left_out: how many older items are not shown.
      target: title of the item that came next.
      lists: by system, best first.
      target_rank: by system, 0 where the target was not ranked.
    """

    user: str
    history: Sequence[str]
    left_out: int
    target: str
    lists: Mapping[str, Sequence[ListedItem]]
    target_rank: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class PublishedRow:
    """Numbers that others published, shown for reference and marked as not measured here.

    Attributes:
      system: as its authors call it.
      source: where the numbers were read.
      metrics: names as in `results.json`; those that were not published are left out.
    """

    system: str
    source: str
    metrics: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything on the page.

    Attributes:
      title: the page's heading.
      results: as in `results.json`.
      headline: the system that the run is about; None, or one without results, for a run of floors alone.
      floors: names of the systems that learn nothing.
      curves: learning curves.
      pictures: pictures of the codebooks.
      examples: users to look at.
      examples_rule: how they were chosen, in words.
      published: rows of others.
      config: the operative configuration, as text.
      labels: how systems are called on the page, where it is not by their name.
    """

    title: str
    results: Results
    headline: str | None = None
    floors: Sequence[str] = ()
    curves: Sequence[Curve] = ()
    pictures: Sequence[Picture] = ()
    examples: Sequence[UserExample] = ()
    examples_rule: str = ''
    published: Sequence[PublishedRow] = ()
    config: str = ''
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def label(self, system: str) -> str:
        """How a system is called on the page."""
        return self.labels.get(system) or system_label(system)
