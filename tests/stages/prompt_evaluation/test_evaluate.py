import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from llmrec_jax.decoding.beam import Beam
from llmrec_jax.stages.prompt_evaluation.evaluate import MixtureResults, mixture_results
from llmrec_jax.stages.prompt_evaluation.journal import Journal
from llmrec_jax.training.checkpoint_layouts import CheckpointError
from tests.stages.prompt_evaluation import small_shop

ROOT = pathlib.Path(__file__).parents[3]
CHANGED = 'small_sequential_2_3'


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """A workdir before anything was evaluated."""
    workdir = tmp_path_factory.mktemp('small')
    small_shop.make(workdir)
    return workdir


@pytest.fixture(scope='module')
def evaluated(prepared, tmp_path_factory):
    """A workdir in which the whole mixture was evaluated, and its results."""
    workdir = tmp_path_factory.mktemp('evaluated') / 'run'
    shutil.copytree(prepared, workdir)
    return workdir, run(workdir)


@pytest.fixture
def again(evaluated, tmp_path):
    """A copy of it, for one test to work in."""
    shutil.copytree(evaluated[0], tmp_path / 'run')
    return tmp_path / 'run'


def run(workdir, step=1, **settings):
    system = small_shop.recipe(workdir, step=step, **settings)
    opened = system.run
    system.evaluate().run(opened)
    return opened[mixture_results(system.mixture_or_task_name)]


def files(workdir):
    """What lies there of each task: time of writing and content."""
    folder = workdir / 'evaluation' / 'tasks'
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def without_times(results):
    return [{**task.as_dict(), 'seconds': None} for task in results.tasks]


@pytest.mark.smoke
def test_every_kind_of_answer_is_asked_and_judged(evaluated):
    workdir, results = evaluated
    assert [task.task for task in results.tasks] == list(small_shop.TASKS)
    metrics = {task.answer: set(task.measured.metrics) for task in results.tasks}
    assert {'rmse', 'mae', 'parse_rate'} <= metrics['stars']
    assert {'accuracy', 'auc', 'parse_rate'} <= metrics['like'] & metrics['yes_no']
    assert {'bleu4', 'rougeL', 'exact_match'} <= metrics['sentence']
    assert {'hit_rate@4', 'ndcg@4', 'valid_id_rate', 'unconstrained_valid_id_rate'} <= metrics['item']
    assert {'hit_rate@1_of_4', 'ndcg@4_of_4'} <= metrics['item_of_candidates']
    assert {'hit_rate@1_of_4', 'ndcg@4_of_4'} <= metrics['yes_no_ranking']
    assert all(task.measured.examples == small_shop.QUESTIONS for task in results.tasks)
    kept = MixtureResults.load(workdir / 'evaluation' / 'small_eval' / 'results.json')
    assert kept == results
    for name in small_shop.TASKS:
        lines = (workdir / 'evaluation' / 'tasks' / name / 'predictions.jsonl').read_text().splitlines()
        rows = [json.loads(line)['id'] for line in lines]
        assert rows == list(range(len(rows))) and len(rows) >= small_shop.QUESTIONS


@pytest.mark.smoke
def test_with_the_trie_every_answer_is_an_item_and_all_differ(evaluated):
    for task in evaluated[1].tasks:
        if task.answer == 'item':
            assert task.measured.metrics['valid_id_rate'] == 1.0
            assert task.measured.metrics['duplicate_rate'] == 0.0
            assert task.measured.metrics['unconstrained_valid_id_rate'] < 0.5


@pytest.mark.smoke
def test_out_of_all_its_candidates_a_case_always_finds_the_right_one(evaluated):
    found = [task for task in evaluated[1].tasks if task.family == 'direct']
    assert len(found) == 2
    assert all(task.measured.metrics['hit_rate@4_of_4'] == 1.0 for task in found)


@pytest.mark.smoke
def test_predictions_say_what_was_asked_of_whom_what_was_right_and_what_was_answered(evaluated):
    folder = evaluated[0] / 'evaluation' / 'tasks'
    for name, (_, _, _, answer) in small_shop.TASKS.items():
        lines = [json.loads(line) for line in (folder / name / 'predictions.jsonl').open()]
        for line in lines:
            assert line['input'].startswith('user_') and line['user'].startswith('u') and 'target' in line
            if answer in ('item', 'item_of_candidates'):
                assert line['answer'] == [small_shop.ITEMS[item] for item in line['items']]
            else:
                assert isinstance(line['answer'], str)


@pytest.mark.smoke
def test_ranking_baselines_are_asked_under_both_positions_of_seen_items(evaluated):
    (floors,) = (task.floors for task in evaluated[1].tasks if task.task == 'small_sequential_2_3')
    names = {'popularity', 'item_knn', 'markov', 'decayed_markov', 'category_markov'}
    assert floors.keys() == {*names, *(f'{name}_seen_removed' for name in names), 'chance'}


@pytest.mark.smoke
def test_finished_tasks_are_left_as_they_are(again):
    before = files(again)
    results = run(again)
    assert files(again) == before
    # A mixture of some of them asks nothing either.
    assert [task.task for task in run(again, mixture='small_zero_shot').tasks] == small_shop.MIXTURES[
        'small_zero_shot'
    ]
    assert run(again, mixture=CHANGED).tasks == tuple(task for task in results.tasks if task.task == CHANGED)
    assert files(again) == before


@pytest.mark.smoke
def test_other_cutoffs_judge_anew_and_ask_nothing(again):
    before = files(again)
    results = run(again, ks=(2,))
    after = files(again)
    changed = {name for name in before if before[name] != after[name]}
    assert {name.rpartition('/')[2] for name in changed} == {'result.json'}
    assert all('hit_rate@2' in task.measured.metrics for task in results.tasks if task.answer == 'item')


@pytest.mark.smoke
def test_another_checkpoint_is_evaluated_anew(again, evaluated):
    results = run(again, step=2)
    assert results.parameters != evaluated[1].parameters
    before, after = files(evaluated[0]), files(again)
    assert all(before[name][1] != after[name][1] for name in before)


@pytest.mark.smoke
def test_the_same_parameters_from_elsewhere_are_not(again):
    before = files(again)
    (again / 'checkpoints' / 'checkpoint_1').rename(again / 'checkpoints' / 'checkpoint_3')
    run(again, step=3)
    assert files(again) == before


@pytest.mark.smoke
def test_a_task_whose_examples_changed_is_asked_again(again):
    references = again / 'tasks' / CHANGED / 'test' / 'references.jsonl'
    references.write_text(references.read_text().replace('item_7"', 'item_31"', 1))
    before = files(again)
    run(again)
    after = files(again)
    assert {name.partition('/')[0] for name in before if before[name] != after[name]} == {CHANGED}


@pytest.mark.parametrize('batches', [1, 11])
@pytest.mark.smoke
def test_a_killed_run_goes_on_where_it_was(prepared, evaluated, tmp_path, monkeypatch, batches):
    workdir = tmp_path / 'run'
    shutil.copytree(prepared, workdir)
    asked = []
    add = Journal.add

    def die(journal, answers):
        if len(asked) == batches:
            raise SystemExit('killed')
        asked.append((journal.path.parent.name, len(answers)))
        add(journal, answers)

    monkeypatch.setattr(Journal, 'add', die)
    with pytest.raises(SystemExit, match='killed'):
        run(workdir)
    finished = {name: content for name, content in files(workdir).items() if 'so_far' not in name}
    assert not (workdir / 'evaluation' / 'small_eval').exists()
    batches = -1
    results = run(workdir)
    assert without_times(results) == without_times(evaluated[1])
    after = files(workdir)
    assert all(after[name] == content for name, content in finished.items())
    assert not [name for name in after if 'so_far' in name]
    # No question was asked twice.
    answers = sum(count for _, count in asked)
    assert answers == sum(small_shop.questions(name) for name in small_shop.TASKS)
    predictions = {
        name: content for name, (_, content) in after.items() if name.endswith('predictions.jsonl')
    }
    assert all(files(evaluated[0])[name][1] == content for name, content in predictions.items())


@pytest.mark.smoke
def test_a_limit_draws_the_same_questions_for_every_checkpoint(prepared, tmp_path):
    workdir = tmp_path / 'run'
    shutil.copytree(prepared, workdir)

    def rows(step):
        results = run(workdir, step, max_examples=3, seed=5)
        assert all(task.measured.examples == 3 for task in results.tasks)
        assert results.decoding['max_examples'] == 3
        return {
            name: _rows(content) for name, (_, content) in files(workdir).items() if 'predictions' in name
        }

    assert rows(1) == rows(2)


def _rows(content):
    return [json.loads(line)['id'] for line in content.decode().splitlines()]


@pytest.mark.smoke
def test_an_unknown_mixture_is_told_before_a_checkpoint_is_read(prepared):
    system = small_shop.recipe(prepared, mixture='small_evil', step=77)
    with pytest.raises(ValueError, match="did you mean 'small_eval'.*small_rating_1_10"):
        system.evaluate().run(system.run)


@pytest.mark.smoke
def test_a_checkpoint_of_other_shapes_is_told_once(prepared):
    system = small_shop.recipe(prepared, emb_dim=24)
    with pytest.raises(CheckpointError, match=r'has shape .*16.* there and .*24.* here'):
        system.evaluate().check(system.run)


@pytest.mark.smoke
def test_names_that_free_beams_have_no_room_for_are_told_before_a_checkpoint_is_read(prepared):
    system = small_shop.recipe(prepared, unconstrained=Beam(max_length=3, beam_size=4), step=77)
    with pytest.raises(ValueError, match='the longest name of an item has 4 tokens, .* writes 3 at most'):
        system.evaluate().run(system.run)


@pytest.mark.smoke
def test_a_batch_that_the_devices_cannot_share_is_told(prepared):
    with pytest.raises(ValueError, match='7 questions'):
        small_shop.recipe(prepared, batch_size=7).decoding.check_devices()


@pytest.mark.smoke
def test_diverged_parameters_are_no_ranking(prepared, tmp_path):
    workdir = tmp_path / 'run'
    shutil.copytree(prepared, workdir)
    small_shop.write_checkpoint(
        workdir / 'checkpoints' / 'checkpoint_3', small_shop.recipe(workdir), 3, float('nan')
    )
    with pytest.raises(ValueError, match='parameters have diverged'):
        run(workdir, step=3)


@pytest.mark.smoke
def test_floors_are_measured_on_the_examples_that_the_model_is_asked(prepared, evaluated, tmp_path):
    workdir = tmp_path / 'run'
    shutil.copytree(prepared, workdir)
    few = {task.task: task for task in run(workdir, max_examples=3).tasks}
    every = {task.task: task for task in evaluated[1].tasks}
    for name, task in few.items():
        assert task.floors.keys() == every[name].floors.keys() and task.floors
        assert {floor.examples for floor in task.floors.values()} == {3}
        assert {floor.examples for floor in every[name].floors.values()} == {small_shop.QUESTIONS}
    predictions = workdir / 'evaluation' / 'tasks' / 'small_rating_1_9' / 'predictions.jsonl'
    references = [json.loads(line)['target'] for line in predictions.read_text().splitlines()]
    majority = np.mean([reference == 'like' for reference in references])
    assert few['small_rating_1_9'].floors['majority'].metrics['accuracy'] == pytest.approx(majority)


def evaluate_elsewhere(workdir, mixture, launcher=()):
    command = [
        *launcher,
        sys.executable,
        '-m',
        'tests.stages.prompt_evaluation.evaluate_small_shop',
        str(workdir),
        mixture,
    ]
    environment = {name: value for name, value in os.environ.items() if name != 'XLA_FLAGS'}
    environment |= {'PYTHONPATH': str(ROOT), 'XLA_FLAGS': '--xla_backend_optimization_level=0'}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stderr
    return ran


def assert_same_answers(workdir, other, mixture):
    for name in small_shop.MIXTURES[mixture]:
        answers, expected = (
            [json.loads(line) for line in (one / 'evaluation' / 'tasks' / name / 'predictions.jsonl').open()]
            for one in (workdir, other)
        )
        for one, two in zip(answers, expected, strict=True):
            assert one.pop('scores', []) == pytest.approx(two.pop('scores', []), rel=1e-3)
            for number in ('preference', 'expected'):
                assert one.pop(number, 0) == pytest.approx(two.pop(number, 0), rel=1e-3)
            assert one == two


@pytest.mark.slow
def test_one_device_answers_as_eight_do_and_without_tensorflow(prepared, evaluated, tmp_path):
    workdir = tmp_path / 'run'
    shutil.copytree(prepared, workdir)
    assert evaluate_elsewhere(workdir, 'small_few').stdout == '[]\n'
    assert_same_answers(workdir, evaluated[0], 'small_few')
    found = MixtureResults.load(workdir / 'evaluation' / 'small_few' / 'results.json')
    expected = {task['task']: task for task in without_times(evaluated[1])}
    assert_nearly(without_times(found), [expected[name] for name in small_shop.MIXTURES['small_few']])


def assert_nearly(one, two):
    """Equal, but for the last digits of numbers that the devices' own sums decide, such as mean ratings."""
    if isinstance(one, float):
        assert one == pytest.approx(two, rel=1e-3, nan_ok=True)
    elif isinstance(one, dict):
        assert one.keys() == two.keys()
        for name in one:
            assert_nearly(one[name], two[name])
    elif isinstance(one, list | tuple):
        assert len(one) == len(two)
        for left, right in zip(one, two, strict=True):
            assert_nearly(left, right)
    else:
        assert one == two


@pytest.mark.slow
def test_two_processes_answer_as_one_does(prepared, evaluated, tmp_path):
    workdir = tmp_path / 'run'
    shutil.copytree(prepared, workdir)
    launcher = (str(ROOT / 'tpu_scripts/launch_local.sh'), '2', '--devices=4', '--')
    evaluate_elsewhere(workdir, 'small_eval', launcher)
    assert_same_answers(workdir, evaluated[0], 'small_eval')
    found = MixtureResults.load(workdir / 'evaluation' / 'small_eval' / 'results.json')
    assert_nearly(without_times(found), without_times(evaluated[1]))
