"""How systems are compared, as named switches that go into every result."""

import dataclasses
from collections.abc import Sequence

from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule, described

SPLITS = ('test', 'validation')
SEEN_ITEMS = ('kept', 'removed')
CANDIDATES = 'full_catalogue'
TIES = 'pessimistic'


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The switches of an evaluation; all items are candidates and ties count against the target, always.

    Attributes:
      split: 'test' or 'validation'.
      seen_items: 'kept' ranks the items of the user's history like any other, 'removed' leaves them out.
      ks: cut-offs of the metrics, ascending.
      split_rule: by which the corpus is split; names of metrics end in its name, but for leave-last-out.

    Raises:
      ValueError: when a switch has no such position.
    """

    split: str = 'test'
    seen_items: str = 'kept'
    ks: Sequence[int] = (5, 10)
    split_rule: SplitRule = LEAVE_LAST_OUT

    def __post_init__(self):
        one_position('Protocol.split', self.split, SPLITS)
        one_position('Protocol.seen_items', self.seen_items, SEEN_ITEMS)
        # A list, as gin reads `[5, 10]`, would make the protocol unhashable.
        object.__setattr__(self, 'ks', tuple(self.ks))
        if not self.ks or min(self.ks) < 1 or list(self.ks) != sorted(set(self.ks)):
            raise ValueError(f'Protocol.ks is {self.ks}; cut-offs must be at least 1 and ascend')

    @property
    def max_k(self) -> int:
        """The deepest cut-off."""
        return self.ks[-1]

    def as_dict(self) -> dict[str, object]:
        """Every switch by name, JSON-able; the fixed ones too, so that a result explains itself."""
        return {
            'split': self.split,
            **described(self.split_rule),
            'seen_items': self.seen_items,
            'candidates': CANDIDATES,
            'ties': TIES,
            'ks': list(self.ks),
        }


def one_position(field: str, value: str, allowed: Sequence[str]) -> None:
    """Checks a switch.

    Raises:
      ValueError: naming the field, when it has no such position.
    """
    if value not in allowed:
        raise ValueError(f'{field}={value!r} must be one of {", ".join(map(repr, allowed))}')
