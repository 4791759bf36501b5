"""Protocols that rank the target among a few drawn items, under metric names of their own.

| published with | negatives | drawn | excluded | metric |
|---|---|---|---|---|
| SASRec's code, at most 10,000 users | 100 | uniform | training | `recall@10_of_101_uniform` |
| S3-Rec, P5 | 99 | uniform | sequence | `recall@10_of_100_uniform` |
| BERT4Rec | 100 | popularity | sequence | `recall@10_of_101_popularity` |

None of these is a figure of the full catalogue's kind, nor of one another's: of 100 candidates ten blind
draws hit a tenth of the targets, and systems change places between protocols.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.splits import RankingCases, Splits
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.metric_estimates import Measured, MetricEstimates, plain_means
from llmrec_jax.evaluation.metrics import case_metrics
from llmrec_jax.evaluation.protocol import SPLITS
from llmrec_jax.evaluation.recommender import CandidateRecommender
from llmrec_jax.subsets import draw_rows

DRAWN = ('uniform', 'popularity')
EXCLUDED = ('nothing', 'history', 'training', 'sequence')


@dataclasses.dataclass(frozen=True)
class SampledProtocol:
    """Which candidates a target is ranked among; ties count against the target, as everywhere.

    Attributes:
      split: 'test' or 'validation', as in `Protocol`.
      negatives: how many are drawn for each case, each once; None for every item that is not excluded, which
        with nothing excluded is the full catalogue with seen items kept.
      drawn: 'uniform' from the catalogue, or by 'popularity', the number of training events of an item; items
        that training has not are then never drawn.
      excluded: what is never drawn beside the target: 'nothing', the case's 'history', the user's items in
        'training' (the validation item may then be drawn on the test split), or the whole 'sequence' of the
        user as far as the split knows it, held-out items included.
      users: cases at most, drawn by `seed`; None for all.
      ks: cut-offs of the metrics, ascending.
      seed: of the draws; a user has the same negatives whatever other users are asked about.

    Raises:
      ValueError: when a switch has no such position or a number is out of range.
    """

    split: str = 'test'
    negatives: int | None = 99
    drawn: str = 'uniform'
    excluded: str = 'sequence'
    users: int | None = None
    ks: Sequence[int] = (5, 10)
    seed: int = 0

    def __post_init__(self):
        for name, allowed in (('split', SPLITS), ('drawn', DRAWN), ('excluded', EXCLUDED)):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f'SampledProtocol.{name} is {getattr(self, name)!r}; it must be one of {allowed}'
                )
        object.__setattr__(self, 'ks', tuple(self.ks))
        if not self.ks or min(self.ks) < 1 or list(self.ks) != sorted(set(self.ks)):
            raise ValueError(f'SampledProtocol.ks is {self.ks}; cut-offs must be at least 1 and ascend')
        for name in ('negatives', 'users'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f'SampledProtocol.{name} is {value}; it must be at least 1, or None for all')
        if self.negatives is None and self.drawn != 'uniform':
            raise ValueError(
                "SampledProtocol.negatives is None, so all items are candidates and drawn must be 'uniform'"
            )

    @property
    def suffix(self) -> str:
        """What the names of its metrics end in, e.g. '_of_100_uniform'."""
        count = 'all' if self.negatives is None else str(self.negatives + 1)
        return f'_of_{count}_{self.drawn}'

    def as_dict(self) -> dict[str, object]:
        """Every switch by name, JSON-able."""
        return {**dataclasses.asdict(self), 'ks': list(self.ks), 'ties': 'pessimistic'}

    def chosen(self, cases: RankingCases) -> RankingCases:
        """The cases that are asked about."""
        return cases.select(draw_rows(len(cases), self.users, self.seed))


@dataclasses.dataclass(frozen=True, eq=False)
class NegativeSampler:
    """Draws the negatives of cases.

    Attributes:
      protocol: how.
      splits: of the corpus.
      train_counts: how often each item occurs in training; one an item of the catalogue.
    """

    protocol: SampledProtocol
    splits: Splits
    train_counts: Float[np.ndarray, 'items']

    def negatives(self, cases: RankingCases, row: int) -> Int[np.ndarray, 'negatives']:
        """The negatives of one case, ascending.

        Raises:
          ValueError: naming the user, when fewer items can be drawn than are wanted.
        """
        protocol, user = self.protocol, int(cases.user[row])
        # Of exponential waiting times with rates w, the shortest are a draw without replacement by weights w.
        waiting = np.random.default_rng((protocol.seed, user)).exponential(size=len(self.train_counts))
        if protocol.drawn == 'popularity':
            never = self.train_counts == 0
            waiting = np.where(never, np.inf, waiting / np.where(never, 1, self.train_counts))
        waiting[self._excluded(cases, row)] = np.inf
        waiting[cases.target[row]] = np.inf
        possible = int(np.isfinite(waiting).sum())
        wanted = possible if protocol.negatives is None else protocol.negatives
        if not 1 <= wanted <= possible:
            raise ValueError(
                f'user {user}: {wanted or "some"} negatives are wanted, but only {possible} of '
                f'{len(waiting)} items can be drawn: lower SampledProtocol.negatives or exclude less'
            )
        return np.sort(np.argpartition(waiting, wanted - 1)[:wanted])

    def _excluded(self, cases: RankingCases, row: int) -> Int[np.ndarray, 'excluded']:
        excluded = self.protocol.excluded
        if excluded == 'nothing':
            return cases.target[:0]
        if excluded == 'history':
            return cases.histories[row]
        user = int(cases.user[row])
        if excluded == 'training':
            return self.splits.train[user]
        return np.concatenate([self.splits.train[user], *self._cases_of(user)])

    def _cases_of(self, user: int) -> Iterator[Int[np.ndarray, 'items']]:
        """The histories and the targets of a user on both splits, whose users ascend."""
        for cases in (self.splits.validation, self.splits.test):
            place = int(np.searchsorted(cases.user, user))
            if place < len(cases) and cases.user[place] == user:
                yield cases.histories[place]
                yield cases.target[place : place + 1]


_SCORES_AT_ONCE = 1_000_000

Ranks = Int[np.ndarray, 'cases']


def sampled_ranks(
    systems: Mapping[str, CandidateRecommender],
    cases: RankingCases,
    sampler: NegativeSampler,
    cases_at_once: int | None = None,
) -> dict[str, Ranks]:
    """Rank of each case's target among its negatives, from 1, ties counted against it; by system.

    Args:
      systems: by name.
      cases: who is asked about.
      sampler: draws the negatives, which are the same for every system.
      cases_at_once: whose scores of the whole catalogue are held at once; None for about a million scores.

    Raises:
      ValueError: when there are no cases; naming the system, when it fails or a score is NaN; or see
        `NegativeSampler.negatives`.
    """
    if not len(cases):
        raise ValueError('no cases to rank')
    size = cases_at_once or max(1, _SCORES_AT_ONCE // len(sampler.train_counts))
    ranks = {name: np.zeros(len(cases), np.int64) for name in systems}
    # Cases of like length together, because networks pad the histories of a batch to the longest.
    order = np.argsort(cases.histories.lengths, kind='stable')
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batch = cases.select(rows)
        negatives = [sampler.negatives(batch, row) for row in range(len(batch))]
        for name, system in systems.items():
            try:
                ranks[name][rows] = _ranks(system, batch, negatives)
            except ValueError as error:
                raise ValueError(f'system {name!r}: {error}') from error
    return ranks


def sampled_metrics(ranks: Ranks, protocol: SampledProtocol, bootstrap: Bootstrap) -> Measured:
    """`recall@k`, `ndcg@k` and `mrr@k` of such ranks, each name ending in the protocol's `suffix`."""
    columns = {
        f'{name}{protocol.suffix}': values for name, values in case_metrics(ranks, protocol.ks).items()
    }
    return MetricEstimates(columns, plain_means).measured(bootstrap)


def sampled_record(
    protocol: SampledProtocol,
    systems: Mapping[str, CandidateRecommender],
    splits: Splits,
    train_counts: Float[np.ndarray, 'items'],
    bootstrap: Bootstrap,
    cases_at_once: int | None = None,
) -> dict[str, Any]:
    """All systems under one protocol, as an entry of `results.json`'s `sampled`.

    Args:
      protocol: of the entry.
      systems: by name.
      splits: of the corpus.
      train_counts: how often each item occurs in training.
      bootstrap: gives the intervals.
      cases_at_once: see `sampled_ranks`.

    Raises:
      ValueError: see `sampled_ranks`.
    """
    sampler = NegativeSampler(protocol, splits, train_counts)
    cases = protocol.chosen(getattr(splits, protocol.split))
    measured = {
        name: sampled_metrics(ranks, protocol, bootstrap).as_dict()
        for name, ranks in sampled_ranks(systems, cases, sampler, cases_at_once).items()
    }
    return {'protocol': protocol.as_dict(), 'suffix': protocol.suffix, 'systems': measured}


def joined_records(*parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entries of the same protocols, in the same order, with the systems of all parts."""
    return [
        {
            **records[0],
            'systems': {name: one for record in records for name, one in record['systems'].items()},
        }
        for records in zip(*parts, strict=True)
    ]


def _ranks(
    system: CandidateRecommender, cases: RankingCases, negatives: Sequence[Int[np.ndarray, '_']]
) -> Ranks:
    asked = [np.append(drawn, target) for drawn, target in zip(negatives, cases.target, strict=True)]
    scores = system.candidate_scores(cases.histories, asked)
    unknown = np.asarray([bool(np.isnan(found).any()) for found in scores])
    if unknown.any():
        raise ValueError(f'a score after the history of user {int(cases.user[unknown.argmax()])} is NaN')
    return np.array([1 + np.count_nonzero(found[:-1] >= found[-1]) for found in scores], np.int64)
