"""How close written sentences come to the users' own: BLEU, ROUGE and exact match (P5, section 5.4 and 5.5).

BLEU as P5 reports it: of the whole corpus, one reference an example, words as blanks divide them, case kept,
no smoothing, in percent; counted by sacrebleu. sacrebleu's own default (tokeniser 13a, exponential
smoothing), by which papers on translation can be compared, is beside it. ROUGE is rouge-score's F1 without
stemming, mean over examples, in percent; it knows Latin letters and digits alone and lowers their case.
"""

from collections.abc import Sequence

import numpy as np
import sacrebleu
from jaxtyping import Float

from llmrec_jax.evaluation.measured import Means, Tally

ORDERS = 4
ROUGE_KINDS = ('rouge1', 'rouge2', 'rougeL')


def generation_tally(targets: Sequence[str], predictions: Sequence[str]) -> Tally:
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
    return Tally(columns, _metrics, {'sacrebleu': whole})


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


def _metrics(means: Means) -> dict[str, Float[np.ndarray, 'resamples']]:
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
