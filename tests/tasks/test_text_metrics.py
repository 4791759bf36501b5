import inspect
import math

import pytest
import seqio

from llmrec_jax.evaluation.answer_kinds.all_kinds import ANSWER_KINDS
from tasks.text_metrics import metric_fns

NAMES = ['item_1', 'item_2', 'item_3', 'item_4']


def _metrics(answer, targets, answers, **needs):
    (function,) = metric_fns(answer, **needs)
    return function(targets, answers)


@pytest.mark.parametrize('answer', ANSWER_KINDS)
def test_seqio_tells_each_function_by_its_positional_names(answer):
    functions = metric_fns(answer, item_names=NAMES, candidates=2)
    source = seqio.FunctionDataSource(lambda split, shuffle_files: None, ['test'])
    task = seqio.Task('judged', source, {}, metric_fns=functions)
    if answer == 'yes_no_ranking':
        assert task.score_metric_fns == functions and not task.predict_metric_fns
    else:
        assert task.predict_metric_fns == functions and not task.score_metric_fns
    assert next(iter(inspect.signature(functions[0]).parameters)) == 'targets'


def test_each_kind_of_text_has_its_metrics():
    assert _metrics('stars', ['5.0', '1.0'], ['4.0', 'x'])['mae'] == 2.5
    assert _metrics('stars', ['9.5'], ['9.0'], scale=(1.0, 10.0))['rmse'] == 0.5
    assert _metrics('yes_no', ['yes', 'no'], ['yes', 'yes'])['accuracy'] == 0.5
    assert _metrics('like', ['like', 'dislike'], ['like', 'no'])['parse_rate'] == 0.5
    assert _metrics('sentence', ['a b c d'], ['a b c d'])['bleu4'] == pytest.approx(100)


def test_beams_are_read_best_last():
    found = _metrics('item', ['item_1'], [['item_9', 'item_1', 'item_2']], item_names=NAMES, ks=(1, 5))
    assert found == {
        'hit_rate@1': 0.0,
        'hit_rate@5': 1.0,
        'ndcg@1': 0.0,
        'ndcg@5': pytest.approx(1 / math.log2(3)),
        'valid_id_rate': pytest.approx(2 / 3),
        'duplicate_rate': 0.0,
    }


def test_ranks_out_of_candidates_have_names_of_their_own():
    found = _metrics(
        'item_of_candidates', ['item_1'], [['item_2', 'item_1']], item_names=NAMES, candidates=100, ks=(1,)
    )
    assert found == {
        'hit_rate@1_of_100': 1.0,
        'ndcg@1_of_100': 1.0,
        'valid_id_rate': 1.0,
        'duplicate_rate': 0.0,
    }


def test_candidates_asked_about_one_by_one_are_ranked_by_yes():
    # Of the first case 'yes' has .9, .2 and .6 (the target); of the second .1, .3 (the target) and .2.
    targets = ['no', 'no', 'yes', 'no', 'yes', 'no']
    scores = [math.log(value) for value in (0.1, 0.8, 0.6, 0.9, 0.3, 0.8)]
    found = _metrics('yes_no_ranking', targets, scores, candidates=3, ks=(1, 2))
    assert found == {
        'hit_rate@1_of_3': 0.5,
        'hit_rate@2_of_3': 1.0,
        'ndcg@1_of_3': 0.5,
        'ndcg@2_of_3': pytest.approx((1 + 1 / math.log2(3)) / 2),
    }


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: metric_fns('poem'), "'poem' is no kind of answer; there are stars, yes_no"),
        (lambda: metric_fns('item'), 'give item_names'),
        (lambda: metric_fns('yes_no_ranking'), 'how many candidates there are'),
        (
            lambda: _metrics('yes_no_ranking', ['yes', 'no', 'no'], [0.0] * 3, candidates=2),
            '3 examples are no cases of 2 candidates',
        ),
        (
            lambda: _metrics('yes_no_ranking', ['yes', 'no', 'no', 'no'], [0.0] * 4, candidates=2),
            'one of them the right one',
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
