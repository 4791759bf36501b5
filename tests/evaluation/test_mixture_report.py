import dataclasses
import html.parser
import json

import pytest

from llmrec_jax.evaluation.id_leak import IdLeak, Rule
from llmrec_jax.evaluation.report.leaks import Leaks
from llmrec_jax.evaluation.report.mixture_report import MixtureReport
from tests.evaluation.task_result_cases import mixture

LARGEST = 'largest so far + 1, 2 ...'
FOUND = IdLeak((Rule(LARGEST, 0.05, 0.043, 700), Rule('last + 1, 2 ...', 0.04, 0.03, 500)), 0.0004, 1e-9)
SOUND = Leaks('RandomNumbers', False, None, 0.0, 0.0, 'leave_last_out')


class Page(html.parser.HTMLParser):
    """Collects the words of a page, and checks that elements nest."""

    def __init__(self, page):
        super().__init__()
        self.open, self.words = [], []
        self.feed(page)
        assert not self.open, f'not closed: {self.open}'
        self.text = ' '.join(' '.join(self.words).split())

    def handle_starttag(self, tag, attrs):
        if tag != 'meta':
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def _report(**changes):
    whole = MixtureReport(
        title='P5 on <the> shop',
        subtitle='simulated_shop/tiny · 100 users',
        systems={'p5': mixture()},
        leaks=SOUND,
        left_out={'3-1': 'no reviews'},
        about={'Made with': {'seed': 0}},
        config='Trainer.steps = 100  # <fast>',
    )
    return dataclasses.replace(whole, **changes)


def test_all_three_forms_hold_what_was_measured():
    report = _report()
    page, text = Page(report.page()).text, report.text()
    for expected in (
        'P5 on <the> shop',
        'simulated_shop/tiny',
        'RMSE',
        'NDCG@5',
        'BLEU-4',
        '1-10',
        'held out',
    ):
        assert expected in page and expected in text
    for expected in ('no reviews', 'User mean', 'Global mean', 'Most frequent sentence', '0.5000'):
        assert expected in page and expected in text
    assert 'Trainer.steps = 100 # <fast>' in page and 'seed' in page
    values = json.loads(json.dumps(report.as_dict()))
    assert [family['family'] for family in values['families']] == ['rating', 'sequential', 'explanation']
    stars = values['families'][0]['blocks'][0]
    assert stars['main_metric'] == 'rmse' and stars['rows'][0]['rmse'] == pytest.approx(0.5)
    assert values['leaks']['statements'] == SOUND.statements()


def test_the_ceiling_stands_in_every_form_where_it_is_known():
    report = _report(ceiling={'no system can expect more than, HR@10': 0.55384})
    assert 'no system can expect more than, HR@10: 0.5538' in report.text()
    assert 'no system can expect more than, HR@10 0.5538' in ' '.join(Page(report.page()).text.split())
    assert report.as_dict()['ceiling'] == {'no system can expect more than, HR@10': 0.55384}
    assert 'Ceiling' not in _report().text() and 'Ceiling' not in _report().page()


def test_what_lags_behind_its_floor_is_marked():
    assert '<tr class="behind">' in _report().page()
    sequential = [result for result in mixture() if result.family == 'sequential']
    assert '<tr class="behind">' not in _report(systems={'p5': sequential}).page()


def test_names_that_are_known_to_leak_come_with_the_detector():
    with pytest.raises(ValueError, match='SequentialNumbers is known to leak, so that its report needs'):
        Leaks('SequentialNumbers', True, None, 0.0, 0.0, 'random')
    report = _report(leaks=Leaks('SequentialNumbers', True, FOUND, 0.8, 0.802, 'random'))
    for words in (' '.join(report.text().split()), Page(report.page()).text):
        assert 'named by SequentialNumbers, which walks held-out events too' in words
        assert 'the names leak held-out events (p = 1e-09)' in words
        assert "split by 'random', which shows in training 80.2 % of the pairs" in words
        assert '80.0 % of those that it validates' in words
    assert report.as_dict()['leaks']['id_leak']['rules'][0]['ndcg'] == 0.043


def test_names_and_splits_that_are_sound_are_said_to_be_so():
    for words in (' '.join(_report().text().split()), Page(_report().page()).text):
        assert 'named by RandomNumbers, which knows nothing of held-out events' in words
        assert 'none of the pairs of user and item that ranking holds out is shown in training' in words
