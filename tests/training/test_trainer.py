import dataclasses
import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from llmrec_jax.training.checkpoint_layouts import CheckpointError
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.early_stopping import BestMetric, EarlyStopping
from llmrec_jax.training.loop import DivergedError, TrainingInterrupted
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.metrics_log import read_json_lines
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.schedules import Constant, WarmupLinear
from llmrec_jax.training.trainer import Trainer
from tests.training.small_model import SmallModel, examples

TRAINER = Trainer(
    steps=20,
    feature_lengths={'inputs': 12, 'targets': 2},
    optimizer=AdamW(Constant(0.01)),
    batch_size=16,
    mesh=MeshShape(data=1),
    log_every=5,
    validate_every=5,
    checkpoint_every=10,
)


@pytest.fixture(scope='module')
def columns(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp('columns') / 'store', examples(), {})


def by_step(values):
    """A validation that gives prepared values."""
    return lambda params, step: {'recall@10': values[step]}


def test_ctrl_c_tells_where_it_stopped_and_the_same_call_goes_on(columns, tmp_path):
    def interrupted(params, step):
        if step == 15:
            raise KeyboardInterrupt
        return {'recall@10': 0.1}

    with pytest.raises(TrainingInterrupted, match=r'step 15; .* step 10'):
        TRAINER.fit(SmallModel(), columns, tmp_path, interrupted)
    result = TRAINER.fit(SmallModel(), columns, tmp_path, lambda params, step: {'recall@10': 0.1})
    assert (result.first_step, result.final_step) == (10, 20)


def kept(workdir):
    return sorted(int(path.name.split('_')[1]) for path in (workdir / 'checkpoints').iterdir())


def test_the_loss_falls_and_everything_is_logged(columns, tmp_path):
    trainer = dataclasses.replace(
        TRAINER, steps=200, optimizer=AdamW(WarmupLinear(0.02, 10, 200)), microbatches=2, length_buckets=(6,)
    )
    trainer = dataclasses.replace(trainer, checkpoint_every=50)
    result = trainer.fit(SmallModel(dropout=0.1), columns, tmp_path)
    rows = read_json_lines(tmp_path / 'metrics.jsonl')
    assert [row['step'] for row in rows] == list(range(5, 201, 5))
    assert set(rows[0]) == {'step', 'loss', 'accuracy', 'grad_norm', 'learning_rate', 'examples_per_second'}
    assert rows[-1]['loss'] < 0.7 * rows[0]['loss'] and rows[-1]['accuracy'] > rows[0]['accuracy']
    np.testing.assert_allclose(rows[0]['learning_rate'], 0.02 * 4 / 10, rtol=1e-6)
    assert (result.first_step, result.final_step, result.best_step) == (0, 200, None)
    assert result.examples_per_second > 0 and result.peak_host_bytes > 10**7
    assert kept(tmp_path) == [150, 200]


def test_the_best_checkpoint_outlives_retention_and_a_restart(columns, tmp_path):
    values = {5: 0.1, 10: 0.5, 15: 0.2, 20: 0.3, 25: 0.4, 30: 0.4}
    trainer = dataclasses.replace(TRAINER, keep=1)
    first = trainer.fit(SmallModel(), columns, tmp_path, by_step(values))
    assert (first.best_step, first.best_value, kept(tmp_path)) == (10, 0.5, [10, 20])
    longer = dataclasses.replace(trainer, steps=30).fit(SmallModel(), columns, tmp_path, by_step(values))
    assert (longer.first_step, longer.best_step, kept(tmp_path)) == (20, 10, [10, 30])
    assert first.best_checkpoint == longer.best_checkpoint and longer.best_checkpoint.is_dir()
    rows = read_json_lines(tmp_path / 'validation.jsonl')
    assert {row['step']: row['recall@10'] for row in rows} == values


def test_a_new_best_between_checkpoints_is_saved(columns, tmp_path):
    result = TRAINER.fit(SmallModel(), columns, tmp_path, by_step({5: 0.1, 10: 0.1, 15: 0.9, 20: 0.1}))
    assert (result.best_step, kept(tmp_path)) == (15, [15, 20])


def test_the_best_checkpoint_holds_the_parameters_that_were_validated(columns, tmp_path):
    seen = {}

    def validate(params, step):
        seen[step] = jax.device_get(params)
        return {'loss': {5: 3.0, 10: 1.0, 15: 2.0, 20: 2.0}[step]}

    trainer = dataclasses.replace(TRAINER, best_metric=BestMetric('loss', 'min'))
    result = trainer.fit(SmallModel(), columns, tmp_path, validate)
    assert result.best_step == 10
    jax.tree.map(np.testing.assert_array_equal, load_params(result.best_checkpoint), seen[10])


def test_early_stopping_ends_a_run_for_good(columns, tmp_path):
    values = {5: 0.1, 10: 0.5, 15: 0.4, 20: 0.3, 25: 0.9}
    trainer = dataclasses.replace(TRAINER, steps=100, early_stopping=EarlyStopping(patience=2))
    result = trainer.fit(SmallModel(), columns, tmp_path, by_step(values))
    assert (result.final_step, result.best_step) == (20, 10)
    again = trainer.fit(SmallModel(), columns, tmp_path, by_step(values))
    assert (again.first_step, again.final_step, again.best_step) == (20, 20, 10)
    assert again.examples_per_second is None


def test_a_finished_run_is_not_run_again(columns, tmp_path):
    first = TRAINER.fit(SmallModel(), columns, tmp_path)
    log = (tmp_path / 'metrics.jsonl').read_text()
    second = TRAINER.fit(SmallModel(), columns, tmp_path)
    assert (second.first_step, second.final_step, second.checkpoint) == (20, 20, first.checkpoint)
    assert (tmp_path / 'metrics.jsonl').read_text() == log
    assert second.training_seconds == first.training_seconds > 0


def test_training_seconds_are_those_of_all_parts(columns, tmp_path):
    first = TRAINER.fit(SmallModel(), columns, tmp_path)
    time = tmp_path / 'training_time.jsonl'
    # As if each part had taken minutes, beside which the next few steps are nothing.
    time.write_text(time.read_text().replace(str(first.training_seconds), '600.0'))
    longer = dataclasses.replace(TRAINER, steps=30).fit(SmallModel(), columns, tmp_path)
    assert longer.first_step == 20 and 600 < longer.training_seconds < 700
    time.unlink()
    third = dataclasses.replace(TRAINER, steps=40).fit(SmallModel(), columns, tmp_path)
    assert third.training_seconds is None


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(columns, tmp_path):
    trainer = dataclasses.replace(
        TRAINER, optimizer=AdamW(lambda step: (step < 12) * 0.01 + (step >= 12) * np.inf)
    )
    with pytest.raises(DivergedError, match=r'step 14.*checkpoint_10'):
        trainer.fit(SmallModel(), columns, tmp_path)
    assert kept(tmp_path) == [10]
    assert [row['step'] for row in read_json_lines(tmp_path / 'metrics.jsonl')] == [5, 10]


def test_the_best_metric_must_be_one_that_validation_gives(columns, tmp_path):
    with pytest.raises(ValueError, match=r"'recall@10' .*ndcg@5"):
        TRAINER.fit(SmallModel(), columns, tmp_path, lambda params, step: {'ndcg@5': 0.1})


@pytest.mark.parametrize('change', [{'seed': 1}, {'batch_size': 8}])
def test_a_run_goes_on_only_with_the_same_examples_in_the_same_order(columns, tmp_path, change):
    TRAINER.fit(SmallModel(), columns, tmp_path)
    (name,) = change
    with pytest.raises(ValueError, match=f'{name}='):
        dataclasses.replace(TRAINER, **change, steps=30).fit(SmallModel(), columns, tmp_path)
    assert kept(tmp_path) == [10, 20]


class Contrasted(SmallModel):
    """Says that its examples are one another's negatives, and keeps the lengths of those of a microbatch."""

    in_batch_loss = True

    def __init__(self):
        super().__init__()
        self.lengths = []

    def convert_features(self, task_batch):
        if task_batch['inputs'].any():
            self.lengths.append((task_batch['inputs'] != 0).sum(axis=1).tolist())
        return super().convert_features(task_batch)


def test_examples_that_are_one_anothers_negatives_are_of_any_length_and_of_a_number_that_stays(
    columns, tmp_path
):
    model, trainer = Contrasted(), dataclasses.replace(TRAINER, microbatches=4)
    dataclasses.replace(trainer, steps=10).fit(model, columns, tmp_path)
    steps = np.asarray(model.lengths).reshape(10, 4, 4)
    assert not any((np.diff(step.reshape(-1)) >= 0).all() for step in steps)
    with pytest.raises(ValueError, match='examples_contrasted=4.* 16'):
        dataclasses.replace(trainer, microbatches=1).fit(Contrasted(), columns, tmp_path)
    assert trainer.fit(Contrasted(), columns, tmp_path).first_step == 10


def test_other_examples_are_not_trained_on_in_an_old_workdir(columns, tmp_path):
    TRAINER.fit(SmallModel(), columns, tmp_path / 'run')
    others = write_columns(tmp_path / 'others', examples(seed=1), {})
    with pytest.raises(ValueError, match='examples='):
        TRAINER.fit(SmallModel(), others, tmp_path / 'run')


def test_a_damaged_newest_checkpoint_stops_the_restart_until_it_is_deleted(columns, tmp_path):
    unbroken = dataclasses.replace(TRAINER, steps=30).fit(SmallModel(), columns, tmp_path / 'unbroken')
    TRAINER.fit(SmallModel(), columns, tmp_path / 'run')
    newest = tmp_path / 'run' / 'checkpoints' / 'checkpoint_20'
    for path in (newest / 'state').rglob('d/*'):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    log = (tmp_path / 'run' / 'metrics.jsonl').read_text()
    longer = dataclasses.replace(TRAINER, steps=30)
    with pytest.raises(CheckpointError, match=f'{newest}.*step 10'):
        longer.fit(SmallModel(), columns, tmp_path / 'run')
    assert (tmp_path / 'run' / 'metrics.jsonl').read_text() == log
    shutil.rmtree(newest)
    result = longer.fit(SmallModel(), columns, tmp_path / 'run')
    assert result.first_step == 10
    jax.tree.map(
        np.testing.assert_array_equal, load_params(result.checkpoint), load_params(unbroken.checkpoint)
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'mesh': MeshShape(model=3)}, 'does not fit the 8 devices'),
        ({'mesh': MeshShape(data=4), 'microbatches': 8}, '2 examples a microbatch cannot be shared among 4'),
        ({'microbatches': 5}, 'cannot be cut'),
        ({'feature_lengths': {'inputs': 12, 'target': 2}}, "no feature 'target'"),
    ],
)
def test_sizes_that_do_not_fit_are_errors_before_anything_is_written(columns, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TRAINER, **change).fit(SmallModel(), columns, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_dimension_that_cannot_be_shared_is_named(columns, tmp_path):
    trainer = dataclasses.replace(TRAINER, mesh=MeshShape(data=2, model=4))
    with pytest.raises(ValueError, match=" wi: .*'mlp'.* 30 .* 4 devices"):
        trainer.fit(SmallModel(hidden=30), columns, tmp_path)


def test_steps_below_one_are_errors():
    with pytest.raises(ValueError, match='log_every=0'):
        dataclasses.replace(TRAINER, log_every=0)


@pytest.mark.smoke
def test_training_imports_no_tensorflow(columns, tmp_path):
    program = f"""
import sys
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.trainer import Trainer
model = EncoderDecoderModel(Transformer(T5Config(32, 8, 2, 4, 16, 1, 1)))
trainer = Trainer(2, {{'inputs': 12, 'targets': 2}}, AdamW(Constant(0.01)), batch_size=16)
print(trainer.fit(model, ColumnStore.open({str(columns.directory)!r}), {str(tmp_path)!r}).final_step)
print('tensorflow' in sys.modules)
"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.stdout.split() == ['2', 'False'], done.stderr
    assert json.loads((tmp_path / 'training_input.json').read_text())['batch_size'] == 16
