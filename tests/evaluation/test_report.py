import base64
import dataclasses
import html.parser
import io
import re

import matplotlib.figure
import numpy as np
import pytest

from llmrec_jax.corpora.corpus import Items
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.recommendations import from_dense
from llmrec_jax.evaluation.report.examples import choose_cases, user_examples
from llmrec_jax.evaluation.report.markup import readable_column
from llmrec_jax.evaluation.report.page import render, write_report
from llmrec_jax.evaluation.report.report_data import Curve, Picture, PublishedRow, ReportData
from llmrec_jax.evaluation.report.system_names import system_label
from llmrec_jax.evaluation.results import Results
from tests.evaluation.ranking_cases import ranking_cases
from tests.evaluation.sample_results import comparison, numbers, sample_fields, sample_results

N_ITEMS = 12
EVIL_TITLE = 'Soap <script>alert("x")</script> & "Co"'
VOID = {'meta', 'img'}


class Page(html.parser.HTMLParser):
    """Collects text, attributes and tags, and checks that elements nest."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(page)
        assert not self.open, f'not closed: {self.open}'

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return ' '.join(self.words)


def png():
    buffer = io.BytesIO()
    matplotlib.figure.Figure(figsize=(1, 1)).savefig(buffer, format='png')
    return buffer.getvalue()


def per_user():
    cases = ranking_cases([[0, 1]] * 20, [2] * 20)
    scores = np.zeros((20, N_ITEMS))
    scores[:, 3] = 2.0
    scores[:6, 2] = 1.0
    return cases, PerUserResults(cases.user, cases.target, {'tiger': from_dense(scores, cases.target, 10)})


def items():
    titles = [EVIL_TITLE] + [f'Thing {item}' for item in range(1, N_ITEMS - 1)] + ['']
    return Items(
        [f'A{item}' for item in range(N_ITEMS)],
        titles,
        [''] * N_ITEMS,
        [()] * N_ITEMS,
        [''] * N_ITEMS,
        np.full(N_ITEMS, np.nan),
    )


def full_data():
    cases, answered = per_user()
    rows, rule = choose_cases(answered, 'tiger', k=10, examples=12, seed=0)
    return ReportData(
        title='TIGER on <a> shop',
        results=sample_results(),
        headline='tiger',
        floors=('popularity',),
        curves=(
            Curve('Training loss', range(0, 1000, 2), [None, *np.geomspace(6, 2, 499)]),
            Curve('Validation recall@10', [100, 200, 300], [0.1, 0.21, 0.2], best='high'),
        ),
        pictures=(Picture('Level 1', 'Items a codeword.', png()),),
        examples=user_examples(rows, cases, answered, items().title, items().item_id, k=10),
        examples_rule=rule,
        published=(PublishedRow('TIGER <paper>', 'its table 1', {'recall@10': 0.0648}),),
        config='Trainer.steps = 100  # <fast>',
    )


def test_a_report_holds_everything_that_was_measured():
    page = Page(render(full_data()))
    for expected in (
        'TIGER on <a> shop',
        'simulated_shop/tiny · 100 users · 60 items · 900 events',
        '0.3000',
        'Popularity',
        'Ceiling',
        '0.2900–0.3100',
        '75\u00a0%',
        'published, not measured here',
        'TIGER <paper>',
        'Validation split',
        'Test split, seen items removed',
        'Validation recall@10',
        'collision rate',
        'lsh',
        'invalid rate',
        'Trainer.steps = 100  # <fast>',
        'peak memory'.capitalize(),
        '20.0 s',
        'came next: ',
    ):
        assert expected in page.text, expected
    assert page.tags.count('polyline') == 2
    assert page.tags.count('details') == 12 + 2


def test_bold_is_for_what_was_measured_and_not_for_bounds():
    page = render(full_data())
    assert '<strong>0.3000</strong>' in page
    assert '<strong>0.4000</strong>' not in page


def test_a_report_needs_no_other_file():
    page = Page(render(full_data()))
    for name, value in page.attributes:
        if name in ('src', 'href', 'data', 'action', 'srcset'):
            assert value.startswith(('data:', '#')), (name, value)
    assert not {'link', 'script', 'iframe', 'object'} & set(page.tags)
    assert not re.search(r'url\(|@import|https?://', render(full_data()))


def test_pictures_are_embedded_as_they_are():
    page = Page(render(full_data()))
    sources = [value for name, value in page.attributes if name == 'src']
    assert [base64.b64decode(source.partition(',')[2])[:4] for source in sources] == [b'\x89PNG']


def test_titles_cannot_break_the_page():
    page = Page(render(full_data()))
    assert 'script' not in page.tags
    assert EVIL_TITLE in page.text


def test_the_headline_says_plainly_when_a_floor_is_better():
    assert '0.2500 above Popularity (6.00 times)' in Page(render(full_data())).text
    fields = sample_fields()
    fields['systems']['test']['popularity'] = numbers(0.35)
    behind = ReportData('r', Results(**fields), 'tiger', ('popularity',), labels={'tiger': 'TIGER'})
    assert '0.0500 below Popularity' in Page(render(behind)).text


def test_the_headline_says_level_where_the_paired_interval_holds_0():
    fields = sample_fields()
    fields['systems']['test']['popularity'] = numbers(0.295)
    fields['comparisons'] = [comparison('popularity', 'tiger', -0.005)]
    level = ReportData('r', Results(**fields), 'tiger', ('popularity',), labels={'tiger': 'TIGER'})
    assert 'level with Popularity (+0.0050' in Page(render(level)).text
    fields['comparisons'] = [comparison('popularity', 'tiger', -0.02)]
    ahead = ReportData('r', Results(**fields), 'tiger', ('popularity',), labels={'tiger': 'TIGER'})
    assert '0.0050 above Popularity' in Page(render(ahead)).text


def test_comparisons_are_told_from_the_headline_systems_side():
    text = Page(render(full_data())).text
    assert 'TIGER − Popularity' in text
    assert '+0.2500' in text
    assert '+0.2400 … +0.2600' in text


def test_a_run_of_floors_alone_has_a_report():
    fields = sample_fields()
    fields |= {'systems': {'test': {'popularity': numbers(0.05)}}, 'semantic_ids': {}, 'training': {}}
    fields |= {'decoding': {}, 'comparisons': []}
    page = Page(render(ReportData('floors', Results(**fields), 'tiger', ('popularity',))))
    assert 'Best floor: Popularity' in page.text
    assert 'Semantic IDs' not in page.text
    assert 'against the best' in page.text


def test_a_report_renders_before_anything_was_measured():
    fields = sample_fields() | {'systems': {}, 'comparisons': [], 'stages': []}
    assert 'simulated_shop/tiny' in Page(render(ReportData('nothing', Results(**fields), 'tiger'))).text


def test_writing_leaves_one_file(tmp_path):
    write_report(full_data(), tmp_path / 'run' / 'report.html')
    assert [file.name for file in (tmp_path / 'run').iterdir()] == ['report.html']
    assert (tmp_path / 'run' / 'report.html').read_text(encoding='utf-8') == render(full_data())


def test_half_of_the_examples_are_hits_where_there_are_enough():
    _, answered = per_user()
    ranks = answered.systems['tiger'].target_rank
    rows, rule = choose_cases(answered, 'tiger', k=10, examples=8, seed=0)
    assert (ranks[rows] <= 10).sum() == 4
    assert len(set(rows.tolist())) == 8
    assert rule.startswith('4 users') and 'and 4 from' in rule
    many, _ = choose_cases(answered, 'tiger', k=10, examples=18, seed=0)
    assert (ranks[many] <= 10).sum() == 6
    assert len(many) == 18


def test_examples_mark_the_target_and_name_items_without_a_title():
    cases, answered = per_user()
    example = user_examples(np.array([0]), cases, answered, items().title, items().item_id, k=3)[0]
    assert [(item.title, item.is_target) for item in example.lists['tiger']] == [
        ('Thing 3', False),
        ('Thing 2', True),
        (EVIL_TITLE, False),
    ]
    assert example.target_rank == {'tiger': 2}
    assert example.history == [EVIL_TITLE, 'Thing 1']
    long = ranking_cases([[5, 6] + [N_ITEMS - 1] * 12], [2])
    one = PerUserResults(long.user, long.target, {})
    example = user_examples(np.array([0]), long, one, items().title, items().item_id, k=3)[0]
    assert example.history == [f'A{N_ITEMS - 1}'] * 12
    assert example.left_out == 2


def test_malformed_extras_are_refused():
    with pytest.raises(ValueError, match="picture 'Level 1' is not a PNG"):
        Picture('Level 1', '', b'<svg/>')
    with pytest.raises(ValueError, match="curve 'Loss' has 2 steps and 1 values"):
        Curve('Loss', [1, 2], [0.5])
    with pytest.raises(ValueError, match="best is 'max'"):
        Curve('Loss', [1], [0.5], best='max')


def test_slices_and_sampled_protocols_are_shown_apart():
    page = Page(render(ReportData(title='TIGER', results=sample_results(), headline='tiger')))
    assert '1\u202f234' in page.text
    assert 'Test split: the target among 20 drawn items' in page.text
    assert "the target and the user's items in training" in page.text
    assert 'any item of the catalogue as likely as another' in page.text
    assert 'Recall@5 of 21 uniform' in page.text
    assert '0.7500' in page.text
    assert 'tiger.full list.median' in page.text


class Structure(html.parser.HTMLParser):
    """Headings, the classes of elements around tables, and the cells of tables' columns."""

    def __init__(self, page):
        super().__init__()
        self.inside, self.headings, self.around, self.tables = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == 'table':
            self.around.append(self.inside[-1])
            self.tables.append([])
        if tag == 'tr':
            self.tables[-1].append([])
        if tag in ('td', 'th'):
            self.tables[-1][-1].append('')
        if tag in ('h1', 'h2', 'h3', 'th'):
            self.headings.append('')
        if tag not in VOID:
            self.inside.append((tag, dict(attrs).get('class')))

    def handle_endtag(self, tag):
        self.inside.pop()

    def handle_data(self, data):
        names = [tag for tag, _ in self.inside]
        if {'h1', 'h2', 'h3', 'th'} & set(names):
            self.headings[-1] += data
        if {'td', 'th'} & set(names) and 'small' not in names:
            self.tables[-1][-1][-1] += data


def structure(**changes):
    return Structure(render(dataclasses.replace(full_data(), **changes)))


def with_catalogue(results):
    """The systems' lists hold few and many categories."""
    systems = {
        name: {**numbers, 'distinct_categories@10': 1.25 * (1 + place)}
        for place, (name, numbers) in enumerate(results.systems['test'].items())
    }
    return dataclasses.replace(results, systems={**results.systems, 'test': systems})


def test_headings_begin_with_a_capital_and_have_no_other_but_those_of_names():
    results = dataclasses.replace(sample_results(), training={'rungs': [{'share_kept': 0.5, 'p': 1}]})
    found = structure(results=results).headings
    assert {'Rungs', 'Share kept', 'p'} <= set(found)
    words = [word for heading in found for word in heading.split()[1:] if word.isalpha()]
    # Names of systems and metrics, which are no words with a capital alone.
    assert [word for word in words if word.istitle()] == []
    assert [heading for heading in found if heading[:1].islower() and len(heading) > 1] == []


def test_every_table_scrolls_within_a_box_of_its_own():
    found = structure().around
    assert found and set(found) == {('div', 'scroll')}
    assert re.search(r'\.scroll \{[^}]*overflow-x: auto', render(full_data()))


def test_a_column_has_one_number_of_decimals():
    training = {'rungs': [{'loss': 2.5, 'rate': 0.333333}, {'loss': 12, 'rate': 1.0}, {'loss': None}]}
    results = with_catalogue(dataclasses.replace(sample_results(), training=training))
    checked = 0
    for head, *rows in structure(results=results).tables:
        for title, *cells in zip(head, *rows):
            numbers = [cell for cell in cells if re.fullmatch(r'[+−-]?\d+\.\d+', cell)]
            decimals = {len(number.partition('.')[2]) for number in numbers}
            assert len(decimals) <= 1, (title, numbers)
            checked += len(numbers)
    assert checked > 20
    assert readable_column([2.5, 12, None]) == ['2.5', '12.0', '–']


def test_systems_are_called_as_their_papers_call_them_or_in_words():
    called = [system_label(name) for name in ('tiger', 'sasrec_bce', 'two_tower', 'my_own', 'markov')]
    assert called == ['TIGER', 'SASRec bce', 'Two tower', 'My own', 'Markov']
