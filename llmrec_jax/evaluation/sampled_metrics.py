"""What systems reach under the protocols of `sampled_protocol`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.splits import RankingCases, Splits
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.measured import Measured, Tally, plain_means
from llmrec_jax.evaluation.metrics import case_metrics
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.evaluation.sampled_protocol import NegativeSampler, SampledProtocol

_SCORES_AT_ONCE = 1_000_000

Ranks = Int[np.ndarray, 'cases']


def sampled_ranks(
    systems: Mapping[str, DenseRecommender],
    cases: RankingCases,
    sampler: NegativeSampler,
    cases_at_once: int | None = None,
) -> dict[str, Ranks]:
    """Rank of each case's target among its negatives, from 1, ties counted against it; by system.

    Args:
      systems: by name; each scores the whole catalogue, and the negatives' scores are picked out.
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
    return Tally(columns, plain_means).measured(bootstrap)


def sampled_record(
    protocol: SampledProtocol,
    systems: Mapping[str, DenseRecommender],
    splits: Splits,
    train_counts: Float[np.ndarray, 'items'],
    bootstrap: Bootstrap,
    cases_at_once: int | None = None,
) -> dict[str, Any]:
    """All systems under one protocol, as an entry of `results.json`'s `sampled`.

    Args:
      protocol: of the entry.
      systems: by name; each scores the whole catalogue.
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


def _ranks(system: DenseRecommender, cases: RankingCases, negatives: Sequence[Int[np.ndarray, '_']]) -> Ranks:
    scores = system.scores(cases.histories)
    of_targets = scores[np.arange(len(cases)), cases.target]
    of_negatives = [scores[row, drawn] for row, drawn in enumerate(negatives)]
    unknown = np.isnan(of_targets) | [bool(np.isnan(found).any()) for found in of_negatives]
    if unknown.any():
        raise ValueError(f'a score after the history of user {int(cases.user[unknown.argmax()])} is NaN')
    return np.array(
        [1 + np.count_nonzero(found >= of_target) for found, of_target in zip(of_negatives, of_targets)],
        np.int64,
    )
