"""The leak detector: what the names of items alone tell of the item to come (P5's sequential ids).

Names that were handed out while walking whole histories carry their order: the next item is often the
largest number so far plus one, held-out items included, and a model that reads names learns to count. The
detector puts the names in their natural order ('item_9' before 'item_10'), which for numbers is the order of
the numbers, and plays rules that know nothing else.

A rule that beats chance is no leak yet. Names made from titles or from training histories put items side by
side that go together, and may. Two things tell a leak from that: it holds where training says nothing, no
training user having had both items; and it runs one way, the next item standing ahead, hardly ever behind.
"""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int
from scipy import stats

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.baselines.counts import interactions
from llmrec_jax.evaluation.metrics import ndcg_at_k, recall_at_k

K = 5
# Names that know no held-out event are not even on both sides either, since popular items come early. So the
# question is whether one side has more than three times the other's hits, and how sure that is.
_LARGEST_HONEST_SHARE = 0.75
SIGNIFICANCE = 1e-4
_DIGITS = re.compile(r'(\d+)')
# Each rule goes up or down from one item of the history; the second of a pair is the mirror of the first.
_MIRRORED = (
    ('largest so far + 1, 2 ...', 'smallest so far - 1, 2 ...'),
    ('last + 1, 2 ...', 'last - 1, 2 ...'),
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """How one rule fares, without the items of the history.

    Attributes:
      name: what it recommends.
      recall: at `K`, over all cases.
      ndcg: at `K`, over all cases.
      unexplained_hits: cases that it hits though no training user had both the target and the item that the
        rule starts from.
    """

    name: str
    recall: float
    ndcg: float
    unexplained_hits: int


@dataclasses.dataclass(frozen=True)
class IdLeak:
    """What the detector found.

    Attributes:
      rules: the rules, the best first.
      chance: recall at `K` of a blind draw.
      p_value: of the unexplained hits falling so unevenly on a rule and its mirror, though no more than three
        quarters were to fall on one; of the most uneven pair.
    """

    rules: tuple[Rule, ...]
    chance: float
    p_value: float

    @property
    def leaks(self) -> bool:
        """Whether the names run with the time of held-out events."""
        return self.p_value < SIGNIFICANCE

    def __str__(self) -> str:
        best = self.rules[0]
        found = 'the names leak held-out events' if self.leaks else 'no sign that the names leak'
        return (
            f'{found} (p = {self.p_value:.1g}); the best rule on names alone, "{best.name}", has recall@{K} '
            f'{best.recall:.4f} and ndcg@{K} {best.ndcg:.4f}, a blind draw recall@{K} {self.chance:.4f}'
        )


def id_leak(names: Sequence[str], train: Sequences, cases: RankingCases) -> IdLeak:
    """Plays every rule on the names in use over the whole catalogue.

    Names that spell an order of their own, such as the volumes of a series, may run one way in all honesty.

    Args:
      names: of the items, one a row, no two alike.
      train: the training histories.
      cases: held-out predictions.

    Raises:
      ValueError: when there are no cases, one has no history, or two names are alike.
    """
    if not len(cases) or not cases.histories.lengths.all():
        raise ValueError('the leak detector needs held-out cases to play on, each with a history')
    if len(set(names)) < len(names):
        raise ValueError('the leak detector needs names of which no two are alike')
    by_name = np.asarray(sorted(range(len(names)), key=lambda row: natural_key(names[row])))
    place = np.argsort(by_name)
    matrix = interactions(train, len(names))
    together = sp.csr_array(matrix.T @ matrix)
    rules, p_values = {}, []
    for pair in _MIRRORED:
        for name in pair:
            start, ranks = _play(name, place, cases)
            hits = recall_at_k(ranks, K)
            unexplained = together[by_name[start], cases.target] == 0
            rules[name] = Rule(
                name, float(hits.mean()), float(ndcg_at_k(ranks, K).mean()), int(hits[unexplained].sum())
            )
        sides = [rules[name].unexplained_hits for name in pair]
        # Either side may be the fuller one.
        fuller = stats.binom.sf(max(sides) - 1, sum(sides), _LARGEST_HONEST_SHARE)
        p_values.append(min(1.0, 2 * float(fuller)))
    seen = np.asarray([len(np.unique(cases.histories[row])) for row in range(len(cases))])
    return IdLeak(
        rules=tuple(sorted(rules.values(), key=lambda rule: -rule.ndcg)),
        chance=float(np.mean(np.minimum(K / np.maximum(len(names) - seen, 1), 1))),
        p_value=min(p_values),
    )


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sorts names so that runs of digits count as numbers."""
    parts = _DIGITS.split(name)
    return tuple((int(part), '') if odd % 2 else (-1, part) for odd, part in enumerate(parts))


def _play(
    rule: str, place: Int[np.ndarray, 'items'], cases: RankingCases
) -> tuple[Int[np.ndarray, 'cases'], Int[np.ndarray, 'cases']]:
    """Where the rule starts in each case, and the rank it gives the target, 0 where it never gets there."""
    history = place[cases.histories.values]
    first, last = cases.histories.offsets[:-1], cases.histories.offsets[1:] - 1
    if rule.startswith('largest'):
        start = np.maximum.reduceat(history, first)
    elif rule.startswith('smallest'):
        start = np.minimum.reduceat(history, first)
    else:
        start = history[last]
    step = 1 if '+' in rule else -1
    distance = (place[cases.target] - start) * step
    case = np.repeat(np.arange(len(cases)), cases.histories.lengths)
    case, item = np.unique(np.stack([case, history]), axis=1)
    way = (item - start[case]) * step
    passed = _count(case[(way > 0) & (way < distance[case])], len(cases))
    seen = _count(case[way == distance[case]], len(cases))
    return start, np.where((distance > 0) & (seen == 0), distance - passed, 0)


def _count(rows: Int[np.ndarray, 'chosen'], length: int) -> Int[np.ndarray, 'length']:
    return np.bincount(rows, minlength=length)
