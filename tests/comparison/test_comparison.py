"""Numbers of a comparison: the runs' own, means over seeds, and differences paired over users."""

import json
import statistics

import numpy as np
import pytest

from llmrec_jax.comparison.comparison import compare
from llmrec_jax.comparison.finished_run import read_runs
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.metrics import case_metrics, ndcg_at_k
from llmrec_jax.evaluation.per_user import PerUserResults
from tests.comparison.hand_made import USERS, HandMadeRun


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Three seeds of one recipe, one of a wider network, and another system."""
    root = tmp_path_factory.mktemp('runs')
    made = {f'sasrec_{seed}': HandMadeRun(seed=seed) for seed in range(3)}
    made['wide'] = HandMadeRun(width=64, skill=3.0, training={'training_seconds': 90.0})
    made['tiger'] = HandMadeRun(system='tiger', skill=1.0, width=500, training={'training_seconds': 300.0})
    return {name: run.write(root / name) for name, run in made.items()}


def read(*folders):
    return read_runs(list(map(str, folders)), 'test')


def results(folder):
    return json.loads((folder / 'results.json').read_text())


def by_name(comparison, position='kept'):
    return {one.name: one for one in comparison.systems[position]}


def ranks(folder, system):
    stage = 'floors' if system in ('markov', 'popularity') else 'evaluate'
    return PerUserResults.load(folder / f'evaluation/{stage}/test_kept.npz').systems[system].target_rank


def ndcg(folder, system):
    return ndcg_at_k(ranks(folder, system), 10)


def test_numbers_of_one_run_are_its_own_to_the_last_digit(folders):
    found = compare(read(folders['sasrec_0'], folders['tiger']))
    for position, section in (('kept', 'test'), ('removed', 'test_seen_removed')):
        for system, folder in (('sasrec', 'sasrec_0'), ('tiger', 'tiger'), ('markov', 'tiger')):
            own, one = results(folders[folder])[section][system], by_name(found, position)[system]
            assert dict(one.metrics) == {name: value for name, value in own.items() if '@' in name}
            assert {name: list(ends) for name, ends in one.intervals.items()} == own['intervals']
            assert one.costs['users_per_second'] == own['users_per_second']
            assert one.deviations == {}
        assert by_name(found, position)['ceiling'].metrics['ndcg@10'] == 0.9


def test_seeds_are_put_together_with_their_mean_and_deviation(folders):
    found = by_name(compare(read(*(folders[f'sasrec_{seed}'] for seed in range(3)), folders['tiger'])))
    own = [results(folders[f'sasrec_{seed}'])['test']['sasrec'] for seed in range(3)]
    assert found.keys() == {'sasrec', 'tiger', 'markov', 'popularity', 'ceiling'}
    one = found['sasrec']
    assert one.system.seeds == ('0', '1', '2') and one.system.of_runs == ('sasrec_0', 'sasrec_1', 'sasrec_2')
    for metric in ('ndcg@10', 'recall@5', 'mrr@10'):
        values = [numbers[metric] for numbers in own]
        assert one.metrics[metric] == pytest.approx(statistics.mean(values), abs=1e-15)
        assert one.deviations[metric] == pytest.approx(statistics.stdev(values), abs=1e-15)
        assert one.deviations[metric] > 0
    assert one.costs['training_seconds'] == 13.5 and one.costs['peak_memory_mb'] == 501.0
    assert json.dumps(one.costs['parameters']) == '160'
    of_seeds = [case_metrics(ranks(folders[f'sasrec_{seed}'], 'sasrec'), (5, 10)) for seed in range(3)]
    users = np.stack([np.mean([one[name] for one in of_seeds], axis=0) for name in of_seeds[0]], axis=1)
    for (low, high), name in zip(Bootstrap().intervals(users), of_seeds[0]):
        assert one.intervals[name] == (low, high)


def test_differences_are_paired_over_users(folders):
    found = by_name(compare(read(folders['sasrec_0'], folders['sasrec_1'], folders['tiger'])))
    of_seeds = np.mean([ndcg(folders[f'sasrec_{seed}'], 'sasrec') for seed in range(2)], axis=0)
    floor = ndcg(folders['tiger'], 'markov')
    assert found['sasrec'].difference == Bootstrap().compare(of_seeds, floor)
    assert found['tiger'].difference == Bootstrap().compare(ndcg(folders['tiger'], 'tiger'), floor)
    assert found['markov'].difference is None and found['ceiling'].difference is None


def test_the_reference_is_the_best_floor_or_the_first_system(folders, tmp_path):
    assert compare(read(folders['tiger'], folders['sasrec_0'])).reference == 'markov'
    bare = [
        HandMadeRun(system=system, floors={}, ceiling=None).write(tmp_path / system) for system in ('b', 'a')
    ]
    assert compare(read(*bare)).reference == 'b'


@pytest.mark.parametrize('name', ['tiger', 'popularity', 'sasrec', 'sasrec_1'])
def test_a_reference_is_named_by_its_system_or_its_run(folders, name):
    found = compare(read(folders['sasrec_0'], folders['sasrec_1'], folders['tiger']), reference=name)
    assert found.reference == {'sasrec_1': 'sasrec'}.get(name, name)
    assert by_name(found)[found.reference].difference is None
    assert found.trained[0].name == 'sasrec'


def test_runs_that_are_called_the_same_are_told_apart_by_what_was_set(folders):
    found = compare(read(folders['sasrec_0'], folders['sasrec_1'], folders['wide']))
    one, wide = by_name(found)['sasrec (sasrec_0)'], by_name(found)['sasrec (wide)']
    assert (one.system.settings, wide.system.settings) == ({'network.width': 16}, {'network.width': 64})
    with pytest.raises(ValueError, match=r"--reference=sasrec is several.*'sasrec \(wide\)'"):
        compare(found.runs, reference='sasrec')
    assert compare(found.runs, reference='wide').reference == 'sasrec (wide)'


def test_the_front_is_marked_for_each_cost(folders):
    found = by_name(compare(read(folders['sasrec_0'], folders['wide'], folders['tiger'])))
    assert found['sasrec (wide)'].metrics['ndcg@10'] > found['sasrec (sasrec_0)'].metrics['ndcg@10']
    for name, paying in {
        'sasrec (wide)': {'training_seconds', 'parameters', 'users_per_second', 'peak_memory_mb'},
        'sasrec (sasrec_0)': {'training_seconds', 'parameters'},
        'markov': {'training_seconds', 'parameters'},
        'popularity': set(),
        'tiger': set(),
        'ceiling': set(),
    }.items():
        assert found[name].fronts == paying, name
    assert found['markov'].costs['training_seconds'] == 0 and found['markov'].costs['peak_memory_mb'] is None


def test_a_floor_that_all_share_is_shown_once_and_another_by_its_run(tmp_path):
    made = {
        'a': HandMadeRun(system='a', floors={'content_scann': 1.0}),
        'b': HandMadeRun(system='b', floors={'content_scann': 1.0}),
        'c': HandMadeRun(system='c', floors={'content_scann': 1.0}, version=1),
    }
    folders = {name: run.write(tmp_path / name) for name, run in made.items()}
    shared = by_name(compare(read(folders['a'], folders['b'])))['content_scann']
    assert shared.system.of_runs == ('a', 'b') and shared.deviations == {}
    apart = by_name(compare(read(*folders.values())))
    assert {name for name in apart if 'content' in name} == {
        'content_scann (a)',
        'content_scann (b)',
        'content_scann (c)',
    }


def test_what_stands_beside_a_system_is_put_together_over_its_seeds(tmp_path):
    folders = [
        HandMadeRun(system='a', seed=seed, others={'a_zero_shot': 1.0}).write(tmp_path / str(seed))
        for seed in range(2)
    ]
    one = by_name(compare(read(*folders)))['a_zero_shot']
    assert (one.system.kind, one.system.seeds) == ('other', ('0', '1'))
    assert one.costs['training_seconds'] is None and one.costs['users_per_second'] == USERS / 0.25


def test_positions_that_not_all_were_asked_under_are_left_out(folders, tmp_path):
    alone = HandMadeRun(system='palr', positions=('kept',)).write(tmp_path / 'palr')
    assert list(compare(read(folders['tiger'], alone)).systems) == ['kept']
    both = compare(read(folders['tiger'], folders['wide']))
    assert list(both.systems) == ['kept', 'removed'] and both.position == 'kept'


def test_the_numbers_are_json(folders):
    found = compare(read(*folders.values()))
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told['reference'] == 'markov' and told['users'] == USERS
    assert [run['name'] for run in told['runs']] == list(folders)
    for position, measured in found.systems.items():
        assert [one['name'] for one in told['systems'][position]] == [one.name for one in measured]
    (wide,) = [one for one in told['systems']['kept'] if one['name'] == 'sasrec (wide)']
    assert wide['metrics'] == {
        name: value for name, value in results(folders['wide'])['test']['sasrec'].items() if '@' in name
    }
    assert wide['difference'].keys() == {'difference', 'low', 'high', 'p_value'}
