import dataclasses
import json

import numpy as np
import pytest

from llmrec_jax.evaluation.item_name_metrics import scored_candidates_estimates
from llmrec_jax.evaluation.report.family_tables import family_tables
from llmrec_jax.evaluation.report.family_text import aligned, families_text, glance_text
from llmrec_jax.evaluation.report.metric_names import formatted, leads, ranking_metrics, title, which_is_best
from llmrec_jax.evaluation.task_results import TaskResult
from tests.evaluation.task_result_cases import BOOTSTRAP, mixture, plain, task


def _block(tables, family, answer):
    (found,) = [
        block
        for table in tables
        if table.family == family
        for block in table.blocks
        if block.answer == answer
    ]
    return found


def _shown(block):
    return [(row.system, row.kind, row.templates) for row in block.rows]


def test_a_result_reads_back_as_it_was_written():
    for result in mixture():
        assert TaskResult.from_dict(json.loads(json.dumps(result.as_dict()))) == result
    values = mixture()[0].as_dict()
    assert set(values) == {
        'task', 'family', 'group', 'template', 'held_out', 'answer', 'metrics', 'intervals', 'floors',
        'examples', 'seconds',
    }  # fmt: skip
    with pytest.raises(ValueError, match="p5_shop_rating_1_6: the field 'wall_time' is unknown"):
        TaskResult.from_dict({**values, 'wall_time': 1.0})
    with pytest.raises(ValueError, match="the field 'floors' is missing"):
        TaskResult.from_dict({name: value for name, value in values.items() if name != 'floors'})


def test_there_is_a_table_a_family_with_seen_templates_then_held_out_ones_then_floors():
    tables = family_tables({'p5': mixture()})
    assert [table.family for table in tables] == ['rating', 'sequential', 'explanation']
    assert _shown(_block(tables, 'rating', 'stars')) == [
        ('p5', 'seen', ('1-6',)),
        ('p5', 'held out', ('1-10',)),
        ('global_mean', 'floor', ('1-6', '1-10')),
        ('user_mean', 'floor', ('1-6', '1-10')),
    ]
    assert _shown(_block(tables, 'sequential', 'item'))[:2] == [
        ('p5', 'seen', ('2-3',)),
        ('p5', 'held out', ('2-13',)),
    ]


def test_a_floor_that_differs_between_templates_has_a_row_for_each():
    one, other = mixture()[:2]
    other = dataclasses.replace(other, floors={**other.floors, 'user_mean': plain(rmse=1.0)})
    rows = _shown(family_tables({'p5': [one, other]})[0].blocks[0])
    assert rows[2:] == [
        ('global_mean', 'floor', ('1-6', '1-10')),
        ('user_mean', 'floor', ('1-10',)),
        ('user_mean', 'floor', ('1-6',)),
    ]


def test_systems_stand_one_under_the_other_on_each_template():
    alone = [result for result in mixture() if result.family == 'rating']
    block = _block(family_tables({'mixture': mixture(), 'alone': alone}), 'rating', 'stars')
    assert _shown(block)[:4] == [
        ('mixture', 'seen', ('1-6',)),
        ('alone', 'seen', ('1-6',)),
        ('mixture', 'held out', ('1-10',)),
        ('alone', 'held out', ('1-10',)),
    ]
    assert len(block.rows) == 6


def test_the_best_floor_is_the_one_of_the_smallest_error_and_the_largest_hit_rate():
    tables = family_tables({'p5': mixture()})
    stars, items = _block(tables, 'rating', 'stars'), _block(tables, 'sequential', 'item')
    seen, held_out = stars.rows[:2]
    assert stars.main == 'rmse' and stars.best_floor(seen).system == 'user_mean'
    # Errors of 1 in one example of four against half a star in each; an answer that is none costs 3 stars.
    assert stars.beats_floors(seen) is False and stars.beats_floors(held_out) is False
    assert items.main == 'hit_rate@5' and items.beats_floors(items.rows[0]) is True
    bare = dataclasses.replace(mixture()[0], floors={})
    assert family_tables({'p5': [bare]})[0].blocks[0].beats_floors(seen) is None


def test_the_text_says_each_number_once_with_its_interval_and_lines_up():
    tables = family_tables({'p5': mixture()})
    text = families_text(tables)
    for table in tables:
        assert f'## {table.family.capitalize()}\n' in text
        for block in table.blocks:
            for row in block.rows:
                assert formatted(block.main, row.measured.metrics[block.main]) in text
    for line, next_line in zip(text.split('\n'), text.split('\n')[1:]):
        if line.startswith('|') and next_line.startswith('|'):
            assert len(line) == len(next_line)
    low, high = mixture()[0].measured.intervals['rmse']
    assert f'0.5000 [{low:.4f}, {high:.4f}]' in text


def test_at_a_glance_seen_and_held_out_stand_side_by_side_with_the_best_floor():
    lines = glance_text(family_tables({'p5': mixture()})).split('\n')
    assert [cell.strip() for cell in lines[0].strip('|').split('|')] == [
        'Family', 'Metric', 'System', 'Seen template', 'Held-out template', 'Best floor', 'Beats it',
    ]  # fmt: skip
    cells = [cell.strip() for cell in lines[2].strip('|').split('|')]
    assert cells[:3] == ['Rating', 'RMSE', 'P5'] and cells[5:] == ['User mean: 0.5000', 'no']
    assert cells[3].startswith('1-6: 0.5000 [') and cells[4].startswith('1-10: 1.5811 [')


def test_a_bar_in_a_name_does_not_break_a_row():
    assert aligned(['a'], [['x|y']]).split('\n')[2] == '| x\\|y |'


def test_metrics_out_of_candidates_are_shown_under_their_names():
    scores = np.eye(4)
    measured = scored_candidates_estimates(scores, np.arange(4), ks=(1, 5, 10)).measured(BOOTSTRAP)
    block = family_tables({'p5': [task('5-1', 'direct', 'yes_no', 'yes_no_ranking', measured, {})]})[
        0
    ].blocks[0]
    assert block.main == 'hit_rate@10_of_4'
    assert block.metrics == (
        'hit_rate@10_of_4', 'hit_rate@1_of_4', 'hit_rate@5_of_4', 'ndcg@5_of_4', 'ndcg@10_of_4',
    )  # fmt: skip
    assert title('hit_rate@10_of_100') == 'HR@10 of 100'


def test_what_beams_over_all_texts_reached_stands_behind_under_names_of_its_own():
    metrics = {
        'unconstrained_valid_id_rate': 0.5, 'unconstrained_hit_rate@5': 0.1, 'duplicate_rate': 0.0,
        'valid_id_rate': 1.0, 'ndcg@5': 0.1, 'hit_rate@5': 0.2,
    }  # fmt: skip
    assert ranking_metrics([metrics]) == (
        'hit_rate@5', 'ndcg@5', 'unconstrained_hit_rate@5', 'valid_id_rate', 'duplicate_rate',
        'unconstrained_valid_id_rate',
    )  # fmt: skip
    assert title('unconstrained_valid_id_rate') == 'Valid ids, unconstrained'


def test_errors_are_better_when_smaller_and_rates_of_parsing_rank_nobody():
    assert leads('rmse', 0.9, 1.0) and leads('rmse_of_parsed', 0.9, 1.0) and not leads('rmse', 1.0, 1.0)
    assert leads('ndcg@10_of_100', 0.3, 0.2) and not leads('bleu4', 1.0, 2.0)
    assert which_is_best('mae', [0.7, 0.5, 0.6]) == 1
    assert which_is_best('parse_rate', [0.7, 0.5]) is None
    assert which_is_best('auc', []) is None
