import json

import pytest

from llmrec_jax.training.metrics_log import JsonLines, MetricsLog, read_json_lines


def test_rows_are_on_disk_as_soon_as_they_are_logged(tmp_path):
    log = JsonLines(tmp_path / 'metrics.jsonl', 0)
    log.append({'step': 1, 'loss': 2.0})
    assert read_json_lines(tmp_path / 'metrics.jsonl') == [{'step': 1, 'loss': 2.0}]


def test_a_restart_drops_what_comes_after_its_step_and_a_line_cut_short(tmp_path):
    path = tmp_path / 'metrics.jsonl'
    path.write_text('{"step": 1, "loss": 3}\n{"step": 2, "loss": 2}\n{"step": 3, "loss": 1}\n{"step": 4, "lo')
    log = JsonLines(path, 2)
    log.append({'step': 3, 'loss': 1.5})
    log.close()
    assert [json.loads(line)['loss'] for line in path.read_text().splitlines()] == [3, 2, 1.5]
    assert [row['step'] for row in log.rows] == [1, 2, 3]


@pytest.mark.parametrize('line', ['{"step": 1', '[1]', '{"loss": 1}'])
def test_a_broken_line_in_the_middle_is_named(tmp_path, line):
    path = tmp_path / 'metrics.jsonl'
    path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 3}}\n')
    with pytest.raises(ValueError, match='metrics.jsonl, line 2'):
        JsonLines(path, 3)
    assert '"step": 3' in path.read_text()


def test_an_undefined_metric_is_null(tmp_path):
    log = JsonLines(tmp_path / 'validation.jsonl', 0)
    log.append({'step': 1, 'recall@10': float('nan')})
    assert read_json_lines(tmp_path / 'validation.jsonl') == [{'step': 1, 'recall@10': None}]


def test_training_validation_and_tensorboard_are_kept_apart(tmp_path):
    log = MetricsLog(tmp_path, 0)
    log.train({'step': 1, 'loss': 2.0})
    log.validate({'step': 1, 'recall@10': 0.5, 'mrr': None})
    log.checkpoint(1, 2.5)
    log.close()
    assert read_json_lines(tmp_path / 'metrics.jsonl') == [{'step': 1, 'loss': 2.0}]
    assert read_json_lines(tmp_path / 'validation.jsonl') == [{'step': 1, 'recall@10': 0.5, 'mrr': None}]
    (events,) = (tmp_path / 'tensorboard').iterdir()
    content = events.read_bytes()
    assert b'train/loss' in content and b'validation/recall_at_10' in content


def test_the_time_of_all_parts_is_known_where_each_kept_it(tmp_path):
    log = MetricsLog(tmp_path, 0)
    assert log.seconds_before == 0
    log.checkpoint(10, 2.5)
    log.checkpoint(20, 6.0)
    log.close()
    for step, expected in ((20, 6.0), (10, 2.5), (30, None)):
        part = MetricsLog(tmp_path, step)
        assert part.seconds_before == expected
        part.close()
    # The step gone back to is the last that is remembered.
    assert read_json_lines(tmp_path / 'training_time.jsonl') == [{'step': 10, 'training_seconds': 2.5}]
