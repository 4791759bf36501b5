"""Recipes under other splits, from the overlay to the names of the metrics."""

import json

import numpy as np
import pytest

from llmrec_jax.corpora.drawn_splits import ByUser, FewShot, RandomEvents
from llmrec_jax.corpora.split_rules import GlobalTemporal, LeaveLastOut, UserTemporal
from llmrec_jax.runs import command_line
from llmrec_jax.stages.corpus import CORPUS_FACTS, SPLITS
from tests.systems.configured import configured, run_phases

OVERLAYS = {
    'split_temporal': GlobalTemporal,
    'split_user_temporal': UserTemporal,
    'split_by_user': ByUser,
    'split_random_events': RandomEvents,
    'split_few_shot': FewShot,
}
SYSTEMS = {
    'tiger': lambda system: system.task.split,
    'sasrec': lambda system: system.task.split,
    'two_tower': lambda system: system.task.split,
    'unisrec': lambda system: system.task.split,
    'p5': lambda system: system.tasks.split,
    'palr': lambda system: system.tasks.split,
}


def flags(system, workdir, *overlays):
    return [
        f'--gin_file=gin_configs/{system}/smoke.gin',
        *(f'--gin_file=gin_configs/overlays/{name}.gin' for name in overlays),
        f'--gin.WORKDIR={workdir}',
    ]


@pytest.mark.parametrize('overlay', OVERLAYS)
def test_an_overlay_reaches_the_tasks_and_the_corpus_of_a_system(overlay, tmp_path):
    system = configured(flags('sasrec', tmp_path, overlay))
    assert type(system.task.split) is OVERLAYS[overlay]
    assert system.stages()[0].split == system.task.split
    assert ('ceiling' in {stage.name for stage in system.stages()}) == (overlay != 'split_random_events')


@pytest.mark.parametrize('name', SYSTEMS)
def test_every_system_takes_a_split(name, tmp_path):
    system = configured(flags(name, tmp_path, 'split_temporal'))
    assert SYSTEMS[name](system) == system.stages()[0].split == GlobalTemporal()
    assert SYSTEMS[name](configured(flags(name, tmp_path))) == LeaveLastOut()


@pytest.fixture(scope='module')
def temporal(tmp_path_factory):
    """A workdir with corpus, floors, ceiling and examples under the global temporal split."""
    workdir = tmp_path_factory.mktemp('splits') / 'run'
    arguments = flags('sasrec', workdir, 'split_temporal')
    system = configured(arguments)
    run, records = command_line.run_stages(
        system,
        [stage.name for stage in system.stages() if stage.name in ('corpus', 'floors', 'ceiling', 'tasks')],
    )
    system.report(run, records)
    return system, run


def test_results_and_report_name_the_split_and_its_overlap(temporal):
    _, run = temporal
    found = json.loads((run.root / 'results.json').read_text())
    assert found['protocol']['split_rule'] == 'global_temporal'
    assert found['protocol']['split_settings'] == {'validation_from': 0.8, 'test_from': 0.9}
    for name in ('markov', 'category_markov', 'ceiling'):
        assert 'recall@10_global_temporal' in found['test'][name] and 'recall@10' not in found['test'][name]
    overlap = found['corpus']['split']['overlap']
    assert overlap['training_later_than_test'] == 0.0 and overlap['tests_with_later_training'] == 0.0
    assert found['test']['markov']['users'] == found['corpus']['split']['asked']['test']
    page = (run.root / 'report.html').read_text()
    assert 'on the test split, by global temporal' in page and 'training later than test' in page


def test_examples_are_those_of_the_split(temporal):
    system, run = temporal
    splits = run[SPLITS]
    store = run[tasks_of(system)]
    found = {int(store[row]['user'][0]): (store[row]['items'] - 1).tolist() for row in range(len(store))}
    longest = system.task.max_items + 1
    assert found == {
        user: splits.train[user][-longest:].tolist()
        for user in np.flatnonzero(splits.train.lengths > 1).tolist()
    }


def tasks_of(system):
    (stage,) = [stage for stage in system.stages() if stage.name == 'tasks']
    return stage.writes[0]


def test_leave_last_out_is_told_what_it_leaks_across_time(tmp_path):
    system = configured(flags('sasrec', tmp_path))
    run, _ = command_line.run_stages(system, ['corpus'])
    told = run[CORPUS_FACTS]['split']
    assert told['split_rule'] == 'leave_last_out' and told['overlap']['tests_with_later_training'] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'overlay'),
    [
        ('tiger', 'split_temporal'),
        ('sasrec', 'split_random_events'),
        ('two_tower', 'split_by_user'),
        ('unisrec', 'split_temporal'),
        ('p5', 'split_by_user'),
        ('palr', 'split_temporal'),
        ('p5', 'split_temporal'),
        ('palr', 'split_random_events'),
    ],
)
def test_a_recipe_runs_whole(name, overlay, tmp_path):
    run_phases(flags(name, tmp_path, overlay), ('prepare', 'train', 'evaluate'))
    assert (tmp_path / 'report.html').exists()
