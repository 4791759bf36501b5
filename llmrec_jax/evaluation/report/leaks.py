"""What a report says of leaks: do names tell of held-out events, do other families show them in training."""

import dataclasses
from typing import Any

from llmrec_jax.evaluation.id_leak import IdLeak, K
from llmrec_jax.evaluation.report.family_text import aligned
from llmrec_jax.evaluation.report.markup import Markup, join, row, section, table, tag

_HEAD = ('Rule on names alone', f'Recall@{K}', f'NDCG@{K}', 'Hits that training does not explain')


@dataclasses.dataclass(frozen=True)
class Leaks:
    """What of the held-out events is given away elsewhere.

    Attributes:
      naming: how items are named, e.g. 'SequentialNumbers'.
      known_to_leak: whether the naming scheme is known to tell of held-out events.
      id_leak: what the detector found; None where no detector was run, as for names that draw on nothing.
      shown_validation: share of the validation pairs (user, item) of ranking that another family shows in
        training.
      shown_test: share of its test pairs.
      split: how the families of reviews are split, e.g. 'leave_last_out'.

    Raises:
      ValueError: when names that are known to leak come without the detector's finding.
    """

    naming: str
    known_to_leak: bool
    id_leak: IdLeak | None
    shown_validation: float
    shown_test: float
    split: str

    def __post_init__(self):
        if self.known_to_leak and self.id_leak is None:
            raise ValueError(
                f'{self.naming} is known to leak, so that its report needs the leak detector: run '
                'evaluation.id_leak.id_leak on its names'
            )

    def statements(self) -> list[str]:
        """What there is to say, sentence by sentence."""
        said = []
        if self.known_to_leak:
            said.append(
                f'Items are named by {self.naming}, which walks held-out events too: what is reached here by '
                'ranking items is not comparable with systems that do not see names of this kind.'
            )
        else:
            said.append(f'Items are named by {self.naming}, which knows nothing of held-out events.')
        if self.id_leak is not None:
            said.append(f'The leak detector: {self.id_leak}.')
        if self.shown_validation or self.shown_test:
            said.append(
                f'The families of reviews are split by {self.split!r}, which shows in training '
                f'{100 * self.shown_test:.1f} % of the pairs of user and item that ranking tests, and '
                f'{100 * self.shown_validation:.1f} % of those that it validates.'
            )
        else:
            said.append(
                f'The families of reviews are split by {self.split!r}: none of the pairs of user and item '
                'that ranking holds out is shown in training.'
            )
        return said

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        found = self.id_leak
        rules = None if found is None else [dataclasses.asdict(rule) for rule in found.rules]
        return {
            'naming': self.naming,
            'known_to_leak': self.known_to_leak,
            'id_leak': found
            and {
                'leaks': found.leaks,
                'p_value': found.p_value,
                'chance': found.chance,
                'k': K,
                'rules': rules,
            },
            'shown_validation': self.shown_validation,
            'shown_test': self.shown_test,
            'split': self.split,
            'statements': self.statements(),
        }

    def text(self) -> str:
        """As Markdown."""
        parts = ['## Leaks', '', *(f'- {statement}' for statement in self.statements()), '']
        if self.id_leak is not None:
            parts += [aligned(_HEAD, self._rules()), '']
        return '\n'.join(parts)

    def markup(self) -> Markup:
        """As a part of a page."""
        warned = self.known_to_leak or (self.id_leak is not None and self.id_leak.leaks)
        first, *others = self.statements()
        said = [tag('p', first, class_='verdict behind' if warned else 'verdict')]
        said += [tag('p', statement, class_='note') for statement in others]
        rules = [] if self.id_leak is None else [table(_HEAD, map(row, self._rules()))]
        return section('Leaks', 'leaks', join(said), *rules)

    def _rules(self) -> list[list[str]]:
        return [
            [rule.name, f'{rule.recall:.4f}', f'{rule.ndcg:.4f}', str(rule.unexplained_hits)]
            for rule in self.id_leak.rules
        ]
