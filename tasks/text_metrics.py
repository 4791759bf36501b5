"""SeqIO metric functions for answers in words, one for each kind of answer."""

import functools
from collections.abc import Sequence

import numpy as np

from llmrec_jax.evaluation.answer_kinds.all_kinds import answer_kind
from llmrec_jax.evaluation.answer_kinds.items import Item, ItemList, ItemOfCandidates, YesNoRanking
from llmrec_jax.evaluation.item_name_metrics import KS, naming_estimates, scored_candidates_estimates
from llmrec_jax.evaluation.metric_estimates import MetricEstimates
from llmrec_jax.evaluation.metric_functions import OfPredictions, OfScores
from llmrec_jax.prompts.palr.answers import written_titles


def metric_fns(
    answer: str,
    *,
    scale: tuple[float, float] = (1.0, 5.0),
    item_names: Sequence[str] = (),
    candidates: int | None = None,
    ks: Sequence[int] = KS,
) -> list[OfPredictions | OfScores]:
    """The metric functions of a task, by the kind of its answer.

    Args:
      answer: name of a kind of answer.
      scale: fewest and most stars, for 'stars'.
      item_names: of the whole catalogue, as the vocabulary reads them back, for the kinds that name items.
      candidates: how many a prompt offers, for 'item_of_candidates' and 'yes_no_ranking'.
      ks: cut-offs of hit rate and NDCG.

    Raises:
      ValueError: when there is no such kind, or what its metrics need is not given.
    """
    kind = answer_kind(answer)
    if kind.names_items and not item_names:
        raise ValueError(
            f'answers of the kind {answer!r} are judged by the names of all items; give item_names'
        )
    if kind.offers_candidates and not candidates:
        raise ValueError(f'answers of the kind {answer!r} are judged by how many candidates there are')
    if kind.in_words:
        return [OfPredictions(functools.partial(kind.text_estimates, scale=scale))]
    known = {'catalogue': frozenset(item_names), 'ks': tuple(ks)}
    functions = {
        Item.name: OfPredictions(functools.partial(_items, candidates=None, **known)),
        ItemOfCandidates.name: OfPredictions(functools.partial(_items, candidates=candidates, **known)),
        ItemList.name: OfPredictions(functools.partial(_lists, **known)),
        YesNoRanking.name: OfScores(functools.partial(_yes_no_ranking, candidates=candidates, ks=tuple(ks))),
    }
    return [functions[answer]]


def _items(
    targets: Sequence[str],
    predictions: Sequence[Sequence[str]],
    *,
    catalogue: frozenset[str],
    candidates: int | None,
    ks: tuple[int, ...],
) -> MetricEstimates:
    """Metrics of ranked names; see `evaluation.item_name_metrics.naming_estimates`.

    Args:
      targets: names of the right items.
      predictions: beams of each example, best last, as T5X's `predict_batch` returns them.
      catalogue: names of all items.
      candidates: how many the prompts offer; None where they offer none.
      ks: cut-offs.
    """
    best_first = [list(reversed(beams)) for beams in predictions]
    return naming_estimates(targets, best_first, catalogue, ks, candidates)


def _lists(
    targets: Sequence[str], predictions: Sequence[str], *, catalogue: frozenset[str], ks: tuple[int, ...]
) -> MetricEstimates:
    """Metrics of one list of quoted names an example; the first name of the target is the one asked for."""
    firsts = [written_titles(target)[0] for target in targets]
    answers = [written_titles(prediction) for prediction in predictions]
    return naming_estimates(firsts, answers, catalogue, ks)


def _yes_no_ranking(
    targets: Sequence[str], scores: Sequence[float], *, candidates: int, ks: tuple[int, ...]
) -> MetricEstimates:
    """Ranks candidates that were each asked about by themselves, by the probability of 'yes'.

    SeqIO scores the right answer alone, so the probability of 'yes' is one less that of 'no' where 'no' is
    right. What the model gives to other words thus counts against the target.

    Args:
      targets: the right answers: of `candidates` in a row, which are one case, one is 'yes'.
      scores: log-likelihood of each.
      candidates: how many a case has.
      ks: cut-offs.

    Raises:
      ValueError: when the examples are not whole cases with one 'yes' each.
    """
    positive = np.asarray([target.strip() == 'yes' for target in targets])
    if len(positive) % candidates or (positive.reshape(-1, candidates).sum(axis=1) != 1).any():
        raise ValueError(
            f'{len(targets)} examples are no cases of {candidates} candidates, one of them the right one; '
            'evaluate the split whole and in its order'
        )
    likelihood = np.exp(np.asarray(scores, np.float64))
    probability = np.where(positive, likelihood, 1 - likelihood)
    cases = positive.reshape(-1, candidates)
    return scored_candidates_estimates(probability.reshape(cases.shape), cases.argmax(axis=1), ks)
