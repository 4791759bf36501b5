"""The page of a comparison, its charts, and the launcher that writes it."""

import itertools
import json
import re
import subprocess
import sys

import pytest

from llmrec_jax.compare import main
from llmrec_jax.comparison.charts import CostPoint, cost_chart, difference_chart
from llmrec_jax.evaluation.report.markup import tag
from tests.comparison.hand_made import MACHINE, HandMadeRun
from tests.evaluation.test_report import Page

EVIL = '<script>alert("x")</script>'


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp('page')
    made = [
        HandMadeRun(seed=0),
        HandMadeRun(seed=1),
        HandMadeRun(width=64, skill=3.0, training={'training_seconds': 90.0}),
        HandMadeRun(system=f'tiger{EVIL}', skill=1.0, training={'training_seconds': None}),
    ]
    folders = [str(run.write(root / f'run_{place}')) for place, run in enumerate(made)]
    assert main([*folders, f'--output={root / "pages" / "c.html"}']) == 0
    return (root / 'pages' / 'c.html').read_text(), json.loads((root / 'pages' / 'c.json').read_text())


def test_the_page_needs_no_other_file_and_shows_every_number(written):
    text, told = written
    page = Page(text)
    assert not {'link', 'script', 'iframe'} & set(page.tags)
    assert not [value for name, value in page.attributes if name in ('src', 'href')]
    assert 'alert("x")' in page.text
    for position in ('kept', 'removed'):
        assert f'Seen items {position}' in page.text
        for one in told['systems'][position]:
            assert f'{one["metrics"]["ndcg@10"]:.4f}' in page.text
            if one['difference']:
                assert f'{one["difference"]["difference"]:+.4f}' in page.text
            if one['deviations']:
                assert f'± {one["deviations"]["ndcg@10"]:.4f}' in page.text
    for said in (
        'SASRec (run_0)',
        '2 seeds: 0; 1',
        'network.width = 64',
        'reference',
        'Ceiling',
        '90\u00a0s',
    ):
        assert said in page.text, said


def test_the_front_is_drawn_and_marked(written):
    text, told = written
    marked = sum(len(one['pareto']) for one in told['systems']['kept'])
    assert text.count('◆') == marked + 1
    assert text.count('class="ring"') == marked
    # Training, parameters, users a second and memory; no device told of its own.
    assert len(re.findall(r'<polyline points="[^"]+" class="front">', text)) == 4
    assert 'Device memory' not in text


def test_times_of_different_machines_are_marked(written, tmp_path):
    assert 'different machines' not in written[0]
    one = HandMadeRun().write(tmp_path / 'a')
    other = HandMadeRun(system='tiger').write(tmp_path / 'b')
    told = json.loads((other / 'results.json').read_text())
    told['environment']['machine'] = {**MACHINE, 'cores': 64}
    (other / 'results.json').write_text(json.dumps(told))
    assert main([str(one), str(other), f'--output={tmp_path / "c.html"}']) == 0
    assert 'different machines' in (tmp_path / 'c.html').read_text()


def test_the_launcher_says_the_best_first_and_where_the_page_is(tmp_path, capsys):
    folders = [str(HandMadeRun(system=name).write(tmp_path / name)) for name in ('tiger', 'sasrec')]
    assert main([*folders, f'--output={tmp_path / "c.html"}', '--metric=recall@5', '--reference=tiger']) == 0
    told = capsys.readouterr().out.splitlines()
    found = json.loads((tmp_path / 'c.json').read_text())
    assert (found['metric'], found['reference']) == ('recall@5', 'tiger')
    names = [one['name'] for one in found['systems']['kept']]
    assert [line.split()[0] for line in told[1 : 1 + len(names)]] == names
    assert told[-2:] == [f'page: {tmp_path / "c.html"}', f'numbers: {tmp_path / "c.json"}']


def test_comparing_reads_neither_jax_nor_tensorflow(tmp_path):
    folders = [str(HandMadeRun(seed=seed).write(tmp_path / str(seed))) for seed in range(2)]
    code = (
        'import sys\n'
        'from llmrec_jax.compare import main\n'
        f'assert main({[*folders, f"--output={tmp_path}/c.html"]!r}) == 0\n'
        'print([name for name in ("jax", "flax", "tensorflow", "gin") if name in sys.modules])\n'
    )
    ran = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == '[]'


def numbers(pattern, text):
    return [tuple(map(float, found)) for found in re.findall(pattern, text)]


def test_points_stand_where_their_numbers_say(capsys):
    points = [
        CostPoint('free', 'floor', 0.0, 0.1, 0.05, 0.15, True),
        CostPoint('cheap', 'trained', 10.0, 0.2, 0.15, 0.25, True),
        CostPoint('dear', 'trained', 1000.0, 0.3, 0.25, 0.35, True),
        CostPoint('vain', 'trained', 100.0, 0.15, 0.1, 0.2, False),
    ]
    text = cost_chart('Quality over seconds', 's', points, less_is_better=True)
    free, cheap, dear, vain = numbers(r'cx="([\d.]+)" cy="([\d.]+)" r="4.2"', text)
    # Powers of ten are as far apart as one another; better is higher.
    assert dear[0] - vain[0] == pytest.approx(vain[0] - cheap[0], abs=0.2) and free[0] < cheap[0]
    assert dear[1] < cheap[1] < vain[1] < free[1]
    (line,) = re.findall(r'points="([^"]+)"', text)
    corners = [tuple(map(float, corner.split(','))) for corner in line.split()]
    # From a point to the right at its height, then up to the next.
    assert corners == [free, (cheap[0], free[1]), cheap, (dear[0], cheap[1]), dear]
    assert len(re.findall('class="ring"', text)) == 3


def test_where_more_is_better_the_front_falls_to_the_right():
    points = [
        CostPoint('slow', 'trained', 10.0, 0.3, 0.3, 0.3, True),
        CostPoint('fast', 'floor', 100.0, 0.1, 0.1, 0.1, True),
    ]
    text = cost_chart('Quality over users a second', '', points, less_is_better=False)
    slow, fast = numbers(r'cx="([\d.]+)" cy="([\d.]+)" r="4.2"', text)
    (line,) = re.findall(r'points="([^"]+)"', text)
    assert [tuple(map(float, corner.split(','))) for corner in line.split()] == [
        slow,
        (slow[0], fast[1]),
        fast,
    ]


def test_names_do_not_stand_on_one_another():
    points = [CostPoint(f'system number {place}', 'trained', 10.0, 0.2, 0.1, 0.3, True) for place in range(6)]
    text = cost_chart('Quality', '', points, less_is_better=True)
    heights = sorted(
        float(y) for y, name in re.findall(r'y="([\d.]+)" class="name">(.*?)<', text) if 'number' in name
    )
    assert len(heights) == 6 and min(b - a for a, b in itertools.pairwise(heights)) >= 13


def test_differences_stand_on_the_right_side_of_zero():
    rows = [('better', 'trained', 0.02, 0.01, 0.03), ('worse', 'floor', -0.04, -0.06, -0.02)]
    text = difference_chart('Differences', rows)
    (zero,) = numbers(r'x1="([\d.]+)" y1="([\d.]+)" x2="[\d.]+" y2="[\d.]+" class="zero"', text)
    better, worse = numbers(r'cx="([\d.]+)" cy="([\d.]+)"', text)
    assert worse[0] < zero[0] < better[0]
    assert (zero[0] - worse[0]) == pytest.approx(2 * (better[0] - zero[0]), abs=0.2)


def test_nothing_to_draw_is_no_chart():
    alone = CostPoint('alone', 'trained', 1.0, 0.1, 0.1, 0.1, True)
    assert cost_chart('Quality', '', [alone], less_is_better=True) == ''
    assert difference_chart('Differences', []) == tag('p')[:0]
