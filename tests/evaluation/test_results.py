import copy
import json

import pytest

from llmrec_jax.corpora.drawn_splits import FewShot
from llmrec_jax.corpora.split_rules import GlobalTemporal
from llmrec_jax.evaluation.protocol import Protocol
from llmrec_jax.evaluation.results import Results, section
from tests.evaluation.sample_results import sample_fields, sample_results


def test_results_come_back_as_they_were(tmp_path):
    path = tmp_path / 'run' / 'results.json'
    sample_results().save(path)
    assert Results.load(path).as_dict() == sample_results().as_dict()
    assert [file.name for file in path.parent.iterdir()] == ['results.json']


def test_systems_stand_at_the_top_under_their_split(tmp_path):
    path = tmp_path / 'results.json'
    sample_results().save(path)
    written = json.loads(path.read_text())
    assert written['test']['tiger']['recall@10'] == 0.3
    assert written['test']['ceiling']['ndcg@5'] == pytest.approx(0.4 / 3)
    assert written['test_seen_removed']['tiger']['recall@10'] == 0.32
    assert written['stages'][1]['name'] == 'train'


def test_the_main_protocol_owns_the_plain_section_names():
    main = Protocol(seen_items='removed')
    assert section(Protocol(seen_items='removed'), main) == 'test'
    assert section(Protocol(seen_items='kept'), main) == 'test_seen_kept'
    assert section(Protocol(split='validation', seen_items='removed'), main) == 'validation'


def test_metrics_of_another_split_have_names_of_their_own_in_the_file(tmp_path):
    path = tmp_path / 'results.json'
    rule = FewShot(GlobalTemporal(), 0.1)
    fields = sample_fields() | {'protocol': Protocol(split_rule=rule).as_dict()}
    Results(**fields).save(path)
    written = json.loads(path.read_text())
    end = '_global_temporal_few_users_0.1'
    names = [*written['test']['tiger'], *written['test']['tiger']['intervals']]
    assert [name for name in names if '@' in name] == [
        f'{name}{end}'
        for name in ('recall@5', 'ndcg@5', 'recall@10', 'ndcg@10', 'mrr@10', 'coverage@10', 'recall@10')
    ]
    assert written['comparisons'][0]['metric'] == f'recall@10{end}'
    assert f'recall@10{end}' in written['cold_start']['tiger']['items']['0']
    (sampled,) = written['sampled']
    assert sampled['suffix'] == f'_of_21_uniform{end}'
    assert sampled['systems']['tiger'][f'recall@5_of_21_uniform{end}'] == 0.75
    assert written['protocol']['split_settings']['share'] == 0.1
    # In memory they are called as ever.
    assert Results.load(path).systems == Results(**fields).systems
    assert Results.load(path).as_dict() == written


def without(fields, *path):
    changed = copy.deepcopy(fields)
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return changed


def replaced(fields, value, *path):
    changed = copy.deepcopy(fields)
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        (
            without(sample_fields(), 'systems', 'test', 'ceiling', 'ndcg@10'),
            r'test\.ceiling\.ndcg@10 is None',
        ),
        (replaced(sample_fields(), 1.2, 'systems', 'test', 'tiger', 'recall@5'), r'tiger\.recall@5 is 1\.2'),
        (
            replaced(sample_fields(), [0.2, 0.1], 'systems', 'test', 'tiger', 'intervals', 'recall@10'),
            r'intervals\.recall@10 is \[0\.2, 0\.1\]',
        ),
        (without(sample_fields(), 'stages', 0, 'seconds'), r"stages\[0\] has no 'seconds'"),
        (without(sample_fields(), 'comparisons', 0, 'p_value'), r"comparisons\[0\] has no 'p_value'"),
        (replaced(sample_fields(), float('nan'), 'training', 'steps'), r'results\.training\.steps is nan'),
        (replaced(sample_fields(), {}, 'systems', 'train'), "'train' is no section"),
        (
            replaced(sample_fields(), 0.5, 'sampled', 0, 'systems', 'tiger', 'recall@10'),
            r"sampled\[0\]\.tiger\.recall@10 must end in '_of_21_uniform'",
        ),
        (without(sample_fields(), 'protocol', 'ks'), "'protocol' has no 'ks'"),
    ],
)
def test_what_is_missing_or_impossible_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Results(**fields)


def test_a_file_that_is_cut_short_or_of_another_schema_is_named(tmp_path):
    path = tmp_path / 'results.json'
    sample_results().save(path)
    whole = path.read_text()
    path.write_text(whole[:100])
    with pytest.raises(ValueError, match=r'results\.json: '):
        Results.load(path)
    path.write_text(json.dumps({'results': []}))
    with pytest.raises(ValueError, match=r"results\.json: results: unknown field 'results'"):
        Results.load(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'results.json'
    sample_results().save(path)
    before = path.read_bytes()
    fields = sample_fields()
    fields['corpus']['name'] = object()
    with pytest.raises(ValueError, match='results.json cannot be written as JSON'):
        Results(**fields).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ['results.json']
