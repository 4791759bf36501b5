import math

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.text_metrics import generation_estimates

TARGETS = [
    'The strings stay in tune and sound bright.',
    'the case is sturdy , and the zipper works',
    'good',
    "I wouldn't buy it again; the knob fell off after a week!",
]
ANSWERS = [
    'The strings sound bright and stay in tune.',
    'the case is sturdy and the zipper broke',
    'good value',
    "I wouldn't buy it again, the knob fell off after one week.",
]
SENTENCES = st.lists(st.sampled_from(['a', 'b', 'c', 'A', 'd.']), max_size=8).map(' '.join)
METRICS = {'bleu1', 'bleu2', 'bleu3', 'bleu4', 'sacrebleu', 'rouge1', 'rouge2', 'rougeL', 'exact_match'}


def test_scores_equal_those_worked_by_hand():
    # Six words answer seven. Matching: 6 of 6 words, 4 of 5 pairs (not 'c e'), 2 of 4 triples, 1 of 3 fours.
    found = generation_estimates(['a b c d e f g'], ['a b c d f g']).metrics()
    brevity = math.exp(1 - 7 / 6)
    assert found['bleu1'] == pytest.approx(100 * brevity * 6 / 6)
    assert found['bleu2'] == pytest.approx(100 * brevity * (6 / 6 * 4 / 5) ** (1 / 2))
    assert found['bleu3'] == pytest.approx(100 * brevity * (6 / 6 * 4 / 5 * 2 / 4) ** (1 / 3))
    assert found['bleu4'] == pytest.approx(100 * brevity * (6 / 6 * 4 / 5 * 2 / 4 * 1 / 3) ** (1 / 4))
    # F1 of precision 6/6 and recall 6/7; of 4/5 and 4/6; the longest common subsequence has all 6 words.
    assert found['rouge1'] == found['rougeL'] == pytest.approx(100 * 2 * 6 / (6 + 7))
    assert found['rouge2'] == pytest.approx(100 * 2 * 4 / (5 + 6))
    assert found['exact_match'] == 0


def test_the_corpus_figures_are_those_of_sacrebleu_and_rouge_score():
    found = generation_estimates(TARGETS, ANSWERS).metrics()
    for order in range(1, 5):
        bleu = sacrebleu.BLEU(tokenize='none', smooth_method='none', max_ngram_order=order)
        assert found[f'bleu{order}'] == pytest.approx(bleu.corpus_score(ANSWERS, [TARGETS]).score)
        assert found[f'bleu{order}'] > 0
    assert found['sacrebleu'] == sacrebleu.corpus_bleu(ANSWERS, [TARGETS]).score
    scorer = RougeScorer(['rouge1', 'rouge2', 'rougeL'])
    for kind in ('rouge1', 'rouge2', 'rougeL'):
        each = [scorer.score(target, answer)[kind].fmeasure for target, answer in zip(TARGETS, ANSWERS)]
        assert found[kind] == pytest.approx(100 * sum(each) / 4)


@settings(max_examples=30)
@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=6), st.randoms())
def test_any_corpus_scores_within_bounds_as_sacrebleu_scores_it_in_any_order(pairs, random):
    targets, answers = map(list, zip(*pairs))
    found = generation_estimates(targets, answers).metrics()
    assert found.keys() == METRICS
    assert all(0 <= value <= 100 + 1e-6 for value in found.values())
    for order in (1, 2, 4):
        bleu = sacrebleu.BLEU(tokenize='none', smooth_method='none', max_ngram_order=order)
        assert found[f'bleu{order}'] == pytest.approx(bleu.corpus_score(answers, [targets]).score)
    random.shuffle(pairs)
    shuffled = generation_estimates(*map(list, zip(*pairs))).metrics()
    assert shuffled == pytest.approx(found)


def test_the_users_own_sentences_score_a_hundred_and_silence_nothing():
    perfect = generation_estimates(TARGETS, [f' {target} ' for target in TARGETS]).metrics()
    # Of a single word there is no pair, so 'good' has no ROUGE-2.
    assert perfect == pytest.approx({name: 100.0 for name in METRICS} | {'exact_match': 1.0, 'rouge2': 75.0})
    assert set(generation_estimates(TARGETS, [''] * 4).metrics().values()) == {0.0}


def test_intervals_are_of_the_corpus_figure():
    pairs = list(zip(TARGETS, ANSWERS)) * 50
    measured = generation_estimates(*map(list, zip(*pairs))).measured(Bootstrap(resamples=100))
    for name in METRICS - {'sacrebleu', 'exact_match'}:
        low, high = measured.intervals[name]
        assert low < measured.metrics[name] < high
    assert 'sacrebleu' not in measured.intervals


@pytest.mark.parametrize(
    ('targets', 'predictions', 'message'),
    [(['a'], [], 'there are 0 answers to 1 targets'), ([], [], 'no examples')],
)
def test_what_cannot_be_judged_is_refused(targets, predictions, message):
    with pytest.raises(ValueError, match=message):
        generation_estimates(targets, predictions)
