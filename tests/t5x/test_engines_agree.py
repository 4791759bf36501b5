"""T5X's own launchers on a recipe of ours, against the embedded engine on the same recipe."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from tests.t5x.launched import TRAINING, copy, our_losses, ours, t5x, t5x_losses

pytest.importorskip('t5x')
pytestmark = pytest.mark.slow
STEPS = 200
MORE = 210


@pytest.fixture(scope='module')
def by_t5x(tmp_path_factory) -> pathlib.Path:
    """A workdir in which T5X did everything: the stages before training, and 200 steps."""
    workdir = tmp_path_factory.mktemp('t5x') / 'run'
    t5x('train', 't5x_train', workdir, *TRAINING)
    return workdir


@pytest.fixture(scope='module')
def by_us(by_t5x, tmp_path_factory) -> pathlib.Path:
    """A workdir in which the embedded engine trained from T5X's first checkpoint."""
    workdir = tmp_path_factory.mktemp('ours') / 'run'
    copy(by_t5x, workdir, checkpoint=0)
    ours('train', workdir)
    return workdir


def test_both_engines_make_the_same_losses(by_t5x, by_us):
    theirs, our = t5x_losses(by_t5x), our_losses(by_us)
    assert sorted(theirs) == sorted(our) == list(range(1, STEPS + 1))
    np.testing.assert_allclose(
        [theirs[step] for step in sorted(theirs)], [our[step] for step in sorted(our)], rtol=1e-4
    )
    assert our[STEPS] < 0.9 * our[1]


@pytest.mark.parametrize('first', ['t5x', 'ours'])
def test_either_engine_goes_on_with_the_other_s_checkpoint(first, by_t5x, by_us, tmp_path):
    source = by_t5x if first == 't5x' else by_us
    longer = f'--gin.training.trainer.Trainer.steps={MORE}'
    # The schedule stays the one of 200 steps, which ends at 0: a constant end keeps it moving.
    end = '--gin.schedules.WarmupCosine.end=5e-5'
    for name in ('theirs', 'our'):
        copy(source, tmp_path / name, checkpoint=STEPS)
        # The recipe is another one with more steps, which the embedded launcher would rather begin anew.
        (tmp_path / name / 'training_stage.json').unlink()
    total = f'--gin.train.total_steps={MORE}'
    t5x('train', 't5x_train', tmp_path / 'theirs', *TRAINING, total, longer, end)
    shutil.copy(tmp_path / 'theirs' / 'training_stage.json', tmp_path / 'our')
    ours('train', tmp_path / 'our', longer, end)
    theirs, our = t5x_losses(tmp_path / 'theirs'), our_losses(tmp_path / 'our')
    assert sorted(theirs) == sorted(our) == list(range(STEPS + 1, MORE + 1))
    np.testing.assert_allclose(list(theirs.values()), list(our.values()), rtol=1e-4)


def test_both_evaluators_give_the_same_metrics(by_us, tmp_path):
    ours('run', by_us, '--stages=evaluate')
    checkpoint = by_us / 'checkpoints' / f'checkpoint_{STEPS}'
    output = tmp_path / 'evaluation'
    t5x(
        'eval',
        't5x_eval',
        by_us,
        f"--gin.CHECKPOINT_PATH='{checkpoint}'",
        f"--gin.EVAL_OUTPUT_DIR='{output}'",
    )
    (file,) = (output / 'inference_eval').glob('*-metrics.jsonl')
    theirs = json.loads(file.read_text())
    our = json.loads((by_us / 'results.json').read_text())['test']['tiger']
    for name in ('recall@5', 'ndcg@5', 'recall@10', 'ndcg@10'):
        assert theirs[name] == our[name], name


def test_t5x_recommends_catalogue_items_to_named_users(by_t5x, tmp_path):
    output = tmp_path / 'lists'
    checkpoint = by_t5x / 'checkpoints' / f'checkpoint_{STEPS}'
    t5x(
        'infer',
        't5x_infer',
        by_t5x,
        f"--gin.CHECKPOINT_PATH='{checkpoint}'",
        f"--gin.INFER_OUTPUT_DIR='{output}'",
    )
    (file,) = output.glob('*.jsonl-00000-of-00001')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    users = [line['inputs']['user_id'] for line in lines]
    assert len(set(users)) == len(users) > 0
    for line in lines:
        assert all(line['aux']['valid']) and min(line['aux']['items']) >= 0
        assert len(set(line['aux']['items'])) == len(line['prediction'])
        assert line['aux']['scores'] == sorted(line['aux']['scores']), 'best last'


def test_fine_tuning_begins_with_the_parameters_and_nothing_else(by_t5x, tmp_path):
    copy(by_t5x, tmp_path / 'tuned', checkpoint=-1)
    checkpoint = by_t5x / 'checkpoints' / f'checkpoint_{STEPS}'
    t5x(
        'train',
        't5x_finetune',
        tmp_path / 'tuned',
        *TRAINING,
        f"--gin.INITIAL_CHECKPOINT_PATH='{checkpoint}'",
        '--gin.train.total_steps=5',
    )
    trained, tuned = t5x_losses(by_t5x), t5x_losses(tmp_path / 'tuned')
    assert sorted(tuned) == [1, 2, 3, 4, 5]
    # The same first batch as 200 steps ago, and what was learnt since.
    assert tuned[1] < 0.9 * trained[1]
