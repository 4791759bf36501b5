"""Metrics of answers in words: the right one of two, and how close a sentence comes to the user's own.

Sentences have BLEU, ROUGE and exact match (P5, section 5.4 and 5.5). BLEU as P5 reports it: of the whole
corpus, one reference an example, words as blanks divide them, case kept, no smoothing, in percent; counted
by sacrebleu. sacrebleu's own default (tokeniser 13a, exponential smoothing), by which papers on translation
can be compared, is beside it. ROUGE is rouge-score's F1 without stemming, mean over examples, in percent;
it knows Latin letters and digits alone and lowers their case.
"""

from collections.abc import Sequence

import numpy as np
import sacrebleu
from jaxtyping import Bool, Float
from scipy import stats

from llmrec_jax.evaluation.metric_estimates import Means, MetricEstimates


def parse_choice(text: str, choices: tuple[str, str]) -> str | None:
    """The choice that a text is, whatever its case and the space around it; None where it is neither."""
    word = text.strip().lower()
    return word if word in choices else None


def choice_estimates(
    targets: Sequence[str],
    predictions: Sequence[str],
    choices: tuple[str, str],
    scores: Float[np.ndarray, 'examples'] | None = None,
) -> MetricEstimates:
    """Judges answers of one word.

    Metrics:
      accuracy: share of right answers; one that is neither choice is wrong.
      accuracy_of_parsed: over the answers that are one of the choices; not there where none is.
      parse_rate: share of the answers that are one of the choices.
      auc: see `area_under_curve`; not there without `scores`, or where all targets are alike.

    Args:
      targets: the right choices.
      predictions: the answers.
      choices: the two words; the first is the positive one.
      scores: how probable the positive choice is, in any monotone measure; e.g. its probability at the first
        step, over that of both choices.

    Raises:
      ValueError: when a target is neither choice, the numbers differ, or there are no examples.
    """
    truth = [parse_choice(target, choices) for target in targets]
    if None in truth:
        row = truth.index(None)
        raise ValueError(f'target {targets[row]!r} of example {row} is none of {choices}')
    if len(predictions) != len(truth):
        raise ValueError(f'there are {len(predictions)} answers to {len(truth)} questions')
    if scores is not None and len(scores) != len(truth):
        raise ValueError(f'there are {len(scores)} scores of {len(truth)} answers')
    answers = [parse_choice(prediction, choices) for prediction in predictions]
    positive = np.asarray([word == choices[0] for word in truth], bool)
    whole = {}
    if scores is not None and 0 < positive.sum() < len(positive):
        whole['auc'] = area_under_curve(positive, scores)
    return MetricEstimates(
        {
            'accuracy': np.asarray([one == other for one, other in zip(truth, answers)], np.float64),
            'parse_rate': np.asarray([answer is not None for answer in answers], np.float64),
        },
        _choice_metrics,
        whole,
    )


def area_under_curve(positive: Bool[np.ndarray, 'examples'], scores: Float[np.ndarray, 'examples']) -> float:
    """Area under the ROC curve: how probably a positive example scores above a negative one, ties a half.

    Raises:
      ValueError: when a score is NaN or all examples are alike.
    """
    if np.isnan(scores).any():
        raise ValueError(f'the score of example {np.flatnonzero(np.isnan(scores))[0]} is NaN')
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        raise ValueError('the area under the curve needs positive and negative examples')
    # Average ranks give ties a half each (Mann and Whitney).
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _choice_metrics(means: Means) -> dict[str, Float[np.ndarray, 'resamples']]:
    with np.errstate(divide='ignore', invalid='ignore'):
        return {**means, 'accuracy_of_parsed': means['accuracy'] / means['parse_rate']}


ORDERS = 4
ROUGE_KINDS = ('rouge1', 'rouge2', 'rougeL')


def generation_estimates(targets: Sequence[str], predictions: Sequence[str]) -> MetricEstimates:
    """Judges written sentences.

    Metrics:
      bleu1 ... bleu4: corpus BLEU of n-grams up to that length, in percent, as the module says.
      sacrebleu: corpus BLEU-4 under sacrebleu's default, in percent.
      rouge1, rouge2, rougeL: F1 in percent.
      exact_match: share of answers that are the target but for space around it, in 0..1.

    Args:
      targets: what the users wrote.
      predictions: what the model wrote.

    Raises:
      ValueError: when the numbers differ or there are no examples.
    """
    if len(targets) != len(predictions):
        raise ValueError(f'there are {len(predictions)} answers to {len(targets)} targets')
    targets, predictions = list(targets), list(predictions)
    exact = [one.strip() == other.strip() for one, other in zip(targets, predictions)]
    columns = {
        **_bleu_counts(targets, predictions),
        **_rouge(targets, predictions),
        'exact_match': np.asarray(exact, np.float64),
    }
    # `force` silences a warning about sentences that end in ' .', as many corpora have them.
    whole = sacrebleu.corpus_bleu(predictions, [targets], force=True).score if targets else 0.0
    return MetricEstimates(columns, _generation_metrics, {'sacrebleu': whole})


def _bleu_counts(targets: list[str], predictions: list[str]) -> dict[str, Float[np.ndarray, 'examples']]:
    """What BLEU is made of: n-grams that match, n-grams written, and both lengths in words."""
    # The effective order silences a warning about scores of single sentences, of which none is used.
    counter = sacrebleu.BLEU(tokenize='none', smooth_method='none', effective_order=True)
    found = [counter.sentence_score(answer, [target]) for target, answer in zip(targets, predictions)]
    columns = {
        'written': [score.sys_len for score in found],
        'asked': [score.ref_len for score in found],
    }
    for order in range(ORDERS):
        columns[f'matches{order + 1}'] = [score.counts[order] for score in found]
        columns[f'ngrams{order + 1}'] = [score.totals[order] for score in found]
    return {name: np.asarray(column, np.float64) for name, column in columns.items()}


def _rouge(targets: list[str], predictions: list[str]) -> dict[str, Float[np.ndarray, 'examples']]:
    # Loading it loads all of nltk, a second that launchers without sentences to judge need not spend.
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(ROUGE_KINDS, use_stemmer=False)
    found = [scorer.score(target, answer) for target, answer in zip(targets, predictions)]
    return {kind: np.asarray([100 * one[kind].fmeasure for one in found], np.float64) for kind in ROUGE_KINDS}


def _generation_metrics(means: Means) -> dict[str, Float[np.ndarray, 'resamples']]:
    named = {kind: means[kind] for kind in (*ROUGE_KINDS, 'exact_match')}
    # Where nothing was written or matches, the logarithm is -inf and BLEU 0.
    with np.errstate(divide='ignore', invalid='ignore'):
        brevity = np.minimum(0.0, 1 - means['asked'] / means['written'])
        log_precision = np.zeros_like(brevity)
        for order in range(1, ORDERS + 1):
            precision = np.nan_to_num(means[f'matches{order}'] / means[f'ngrams{order}'])
            log_precision = log_precision + np.log(precision)
            named[f'bleu{order}'] = 100 * np.nan_to_num(np.exp(brevity + log_precision / order))
    return named
