"""Ranking metrics over items that a model names: of the full catalogue, or of a case's candidates.

The two are no figures of one kind (with 100 candidates, ten blind draws hit in a tenth of the cases), so the
second carry the number of candidates in their names: 'hit_rate@10' and 'hit_rate@10_of_100'. What a model
writes keeps its place whether it names an item or not, as in P5: answers that name nothing, or name the same
item again, take the places of others.
"""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.evaluation.metric_estimates import MetricEstimates, plain_means
from llmrec_jax.evaluation.metrics import hit_rate_at_k, ndcg_at_k

KS = (1, 5, 10)


def catalogue_estimates(
    targets: Sequence[str],
    answers: Sequence[Sequence[str]],
    catalogue: Collection[str],
    ks: Sequence[int] = KS,
    scores: Sequence[Sequence[float]] | None = None,
) -> MetricEstimates:
    """Judges ranked names of items of the full catalogue.

    Metrics:
      hit_rate@k, ndcg@k: of the target's rank, see `ranks_of_names`.
      valid_id_rate: share of a case's answers that name an item of the catalogue; 0 where a case has none.
      duplicate_rate: share of a case's answers that were given before in the case.

    Args:
      targets: name of the item that came next in each case.
      answers: names of each case, best first.
      catalogue: names of all items.
      ks: cut-offs.
      scores: of each answer, descending; None where the order is all that is known.

    Raises:
      ValueError: when a target is not in the catalogue, the numbers differ, or there are no cases.
    """
    known = frozenset(catalogue)
    absent = [target for target in targets if target not in known]
    if absent:
        raise ValueError(f'the target {absent[0]!r} names no item of the catalogue')
    return _named(targets, answers, [known] * len(targets), ks, scores, suffix='')


def candidates_estimates(
    targets: Sequence[str],
    answers: Sequence[Sequence[str]],
    candidates: Sequence[Collection[str]],
    ks: Sequence[int] = KS,
    scores: Sequence[Sequence[float]] | None = None,
) -> MetricEstimates:
    """Judges ranked names out of a case's candidates; for 100 candidates all metrics end in '_of_100'.

    The metrics are those of `catalogue_estimates`; an answer is valid when it names a candidate of its case.

    Args:
      targets: see `catalogue_estimates`.
      answers: see `catalogue_estimates`.
      candidates: names of each case's candidates, the target among them; the same number in every case.
      ks: cut-offs.
      scores: see `catalogue_estimates`.

    Raises:
      ValueError: when a target is no candidate, the numbers differ, or there are no cases.
    """
    known = [frozenset(names) for names in candidates]
    if len(known) != len(targets) or len({len(names) for names in known}) > 1:
        raise ValueError('every case needs candidates, and each the same number of them')
    for target, names in zip(targets, known):
        if target not in names:
            raise ValueError(f'the target {target!r} is none of its {len(names)} candidates')
    return _named(targets, answers, known, ks, scores, _suffix(len(known[0]) if known else None))


def naming_estimates(
    targets: Sequence[str],
    answers: Sequence[Sequence[str]],
    catalogue: Collection[str],
    ks: Sequence[int] = KS,
    candidates: int | None = None,
) -> MetricEstimates:
    """Judges ranked names where a case's candidates are not known, only how many it had.

    The metrics are those of `catalogue_estimates`; with `candidates`, hit rate and NDCG bear their number in
    their names. A target that is no item's name is a miss like any other.

    Args:
      targets: see `catalogue_estimates`.
      answers: see `catalogue_estimates`.
      catalogue: names of all items.
      ks: cut-offs.
      candidates: how many there were; None for the full catalogue.

    Raises:
      ValueError: when the numbers differ, or there are no cases.
    """
    answers = _stripped(answers)
    suffix = _suffix(candidates)
    known = [frozenset(catalogue)] * len(answers)
    columns = _of_ranks(ranks_of_names(targets, answers), ks, suffix) | _rates(answers, known, '')
    return MetricEstimates(columns, plain_means)


def rank_estimates(
    ranks: Int[np.ndarray, 'cases'], ks: Sequence[int] = KS, candidates: int | None = None
) -> MetricEstimates:
    """`hit_rate@k` and `ndcg@k` of ranks that are known, of so many candidates or else of the full catalogue.

    Args:
      ranks: of the targets from 1; 0 where the target was not ranked.
      ks: cut-offs.
      candidates: how many there were.

    Raises:
      ValueError: when there are no cases or a rank is negative.
    """
    suffix = _suffix(candidates)
    return MetricEstimates(_of_ranks(ranks, ks, suffix), plain_means)


def scored_candidates_estimates(
    scores: Float[np.ndarray, 'cases candidates'],
    target: Int[np.ndarray, 'cases'],
    ks: Sequence[int] = KS,
) -> MetricEstimates:
    """Judges candidates that were each given a score: by the probability of 'yes', or by likelihood.

    Args:
      scores: larger is better.
      target: column of the item that came next.
      ks: cut-offs.

    Raises:
      ValueError: when a score is NaN, or there are no cases.
    """
    return rank_estimates(ranks_of_scores(scores, target), ks, scores.shape[1])


def ranks_of_scores(
    scores: Float[np.ndarray, 'cases candidates'], target: Int[np.ndarray, 'cases']
) -> Int[np.ndarray, 'cases']:
    """Rank of the target's score from 1, ties counted against it.

    Raises:
      ValueError: when a score is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError(f'a score of case {np.argwhere(np.isnan(scores))[0][0]} is NaN')
    return (scores >= np.take_along_axis(scores, target[:, None], axis=1)).sum(axis=1)


def ranks_of_names(
    targets: Sequence[str],
    answers: Sequence[Sequence[str]],
    scores: Sequence[Sequence[float]] | None = None,
) -> Int[np.ndarray, 'cases']:
    """Place of the first answer that is the target, from 1; 0 where none is.

    With scores, answers of the same score as the target's count as placed before it.

    Raises:
      ValueError: when the numbers differ, or scores do not descend.
    """
    if len(answers) != len(targets) or (scores is not None and len(scores) != len(answers)):
        raise ValueError(f'there are answers in {len(answers)} cases for {len(targets)} targets')
    ranks = np.zeros(len(targets), np.int64)
    for case, (target, given) in enumerate(zip(targets, answers)):
        given = list(given)
        of_case = None if scores is None else np.asarray(scores[case], np.float64)
        if of_case is not None and (len(of_case) != len(given) or (of_case[1:] > of_case[:-1]).any()):
            raise ValueError(f'case {case} needs one score an answer, and scores that descend')
        if target in given:
            place = given.index(target)
            ranks[case] = place + 1 if of_case is None else (of_case >= of_case[place]).sum()
    return ranks


def _named(
    targets: Sequence[str],
    answers: Sequence[Sequence[str]],
    known: Sequence[frozenset[str]],
    ks: Sequence[int],
    scores: Sequence[Sequence[float]] | None,
    suffix: str,
) -> MetricEstimates:
    answers = _stripped(answers)
    ranks = ranks_of_names(targets, answers, scores)
    return MetricEstimates(_of_ranks(ranks, ks, suffix) | _rates(answers, known, suffix), plain_means)


def _stripped(answers: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[answer.strip() for answer in given] for given in answers]


def _suffix(candidates: int | None) -> str:
    return '' if candidates is None else f'_of_{candidates}'


def _rates(
    answers: Sequence[Sequence[str]], known: Sequence[frozenset[str]], suffix: str
) -> dict[str, Float[np.ndarray, 'cases']]:
    given = [max(len(one), 1) for one in answers]
    valid = [sum(answer in names for answer in one) for one, names in zip(answers, known)]
    repeated = [len(one) - len(set(one)) for one in answers]
    return {
        f'valid_id_rate{suffix}': np.divide(valid, given, dtype=np.float64),
        f'duplicate_rate{suffix}': np.divide(repeated, given, dtype=np.float64),
    }


def _of_ranks(
    ranks: Int[np.ndarray, 'cases'], ks: Sequence[int], suffix: str
) -> dict[str, Float[np.ndarray, 'cases']]:
    return {
        f'{name}@{k}{suffix}': metric(ranks, k)
        for name, metric in (('hit_rate', hit_rate_at_k), ('ndcg', ndcg_at_k))
        for k in ks
    }
