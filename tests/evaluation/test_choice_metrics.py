import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from llmrec_jax.evaluation.answer_kinds.words import Like, YesNo
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.text_metrics import area_under_curve, choice_estimates, parse_choice


def test_a_choice_is_one_of_two_words_in_any_case():
    said = ('yes', ' No ', 'YES', 'yes.', 'yes no', 'y', '')
    assert [parse_choice(text, YesNo.words) for text in said] == [
        'yes', 'no', 'yes', None, None, None, None,
    ]  # fmt: skip
    assert parse_choice('dislike', Like.words) == 'dislike'
    assert parse_choice('yes', Like.words) is None


def test_an_answer_that_is_no_choice_is_wrong():
    found = choice_estimates(['yes', 'no', 'yes', 'no'], ['yes', 'yes', 'maybe', 'no'], YesNo.words).metrics()
    assert found == {'accuracy': 0.5, 'accuracy_of_parsed': pytest.approx(2 / 3), 'parse_rate': 0.75}


def test_the_area_equals_one_worked_by_hand():
    # Pairs of a yes (.9, .4) and a no (.4, .1): three won, one tied.
    found = choice_estimates(
        ['yes', 'yes', 'no', 'no'], ['yes'] * 4, YesNo.words, np.array([0.9, 0.4, 0.4, 0.1])
    ).measured(Bootstrap(resamples=10))
    assert found.metrics['auc'] == 3.5 / 4
    assert 'auc' not in found.intervals and 'accuracy' in found.intervals


def test_the_same_score_everywhere_is_worth_a_half():
    assert area_under_curve(np.array([True, False, False]), np.zeros(3)) == 0.5


def test_where_all_targets_are_alike_there_is_no_area():
    assert 'auc' not in choice_estimates(['yes'], ['yes'], YesNo.words, np.array([0.5])).metrics()
    with pytest.raises(ValueError, match='needs positive and negative examples'):
        area_under_curve(np.array([True]), np.array([0.5]))


CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2).filter(
    lambda pairs: len({one for one, _ in pairs}) == 2
)


@settings(max_examples=30)
@given(CASES, st.randoms())
def test_the_area_is_the_one_that_others_compute_in_any_order(pairs, random):
    positive, scores = (np.array(column) for column in zip(*pairs))
    area = area_under_curve(positive, scores.astype(float))
    assert area == pytest.approx(roc_auc_score(positive, scores))
    assert area_under_curve(~positive, -scores.astype(float)) == pytest.approx(area)
    random.shuffle(pairs)
    positive, scores = (np.array(column) for column in zip(*pairs))
    assert area_under_curve(positive, np.exp(scores)) == pytest.approx(area)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((['maybe'], ['yes'], YesNo.words), "target 'maybe' of example 0 is none of"),
        ((['yes'], [], YesNo.words), 'there are 0 answers to 1 questions'),
        ((['yes', 'no'], ['yes', 'no'], YesNo.words, np.array([0.5])), 'there are 1 scores of 2 answers'),
        (
            (['yes', 'no'], ['yes', 'no'], YesNo.words, np.array([0.5, np.nan])),
            'the score of example 1 is NaN',
        ),
        (([], [], YesNo.words), 'no examples'),
    ],
)
def test_what_cannot_be_judged_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        choice_estimates(*arguments)
