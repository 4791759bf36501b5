"""Fine-tuning a text-to-text model from materialised examples, as a user does it."""

import json
import os
import re
import subprocess
import sys

import pytest

from llmrec_jax import materialise, train
from llmrec_jax.runs.gin_config import REPOSITORY
from llmrec_jax.training.metrics_log import read_json_lines

TASK = ('--task=next_thing', '--module=tests.inference.text_tasks', '--num_shards=2')
TINY = {'vocab_size': 64, 'emb_dim': 16, 'num_heads': 2, 'head_dim': 8, 'mlp_dim': 32} | {
    'num_encoder_layers': 1,
    'num_decoder_layers': 1,
    'dropout_rate': 0.0,
    'dtype': 'float32',
}
SETTINGS = {'INITIAL_CHECKPOINT': None, 'TRAIN_STEPS': 30, 'BATCH_SIZE': 8, 'LEARNING_RATE': 0.05} | {
    'TASK_FEATURE_LENGTHS': "{'inputs':64,'targets':32}",
    'trainer.Trainer.validate_every': 10,
    **{f'config.T5Config.{name}': value for name, value in TINY.items()},
}


@pytest.fixture(scope='module')
def examples(tmp_path_factory):
    """Training examples, packed, and validation examples, not packed."""
    folder = tmp_path_factory.mktemp('examples')
    room = ('--feature_lengths', 'inputs=64', 'targets=32')
    materialise.main([*TASK, '--split=train', f'--output={folder / "train"}', *room, '--packing'])
    materialise.main([*TASK, '--split=validation', f'--output={folder / "validation"}', *room])
    return folder


def flags(examples, workdir, **changes):
    settings = {
        'WORKDIR': workdir,
        'EXAMPLES': examples / 'train',
        'VALIDATION_EXAMPLES': examples / 'validation',
        **SETTINGS,
        **changes,
    }
    files = ('--gin_file=gin_configs/flan_t5/finetune.gin', '--gin_file=gin_configs/models/flan_t5_small.gin')
    return [*files, *(f'--gin.{name}={value}' for name, value in settings.items())]


@pytest.mark.smoke
def test_flan_t5_learns_a_materialised_task_without_tensorflow(examples, tmp_path):
    code = 'import sys\n{}\nassert "tensorflow" not in sys.modules\n'
    program = code.format(f'from llmrec_jax import train\ntrain.main({flags(examples, tmp_path)!r})')
    # One device, as a user's laptop has, and as little compilation.
    environment = {**os.environ, 'XLA_FLAGS': '--xla_backend_optimization_level=0'}
    environment['PYTHONPATH'] = str(REPOSITORY)
    command = [sys.executable, '-c', program]
    # From another working directory than the repository's, as an installed library is used.
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    validation = read_json_lines(tmp_path / 'validation.jsonl')
    assert [row['step'] for row in validation] == [10, 20, 30]
    assert validation[-1]['loss'] < 0.8 * validation[0]['loss']
    assert {'loss', 'accuracy', 'cross_entropy', 'z_loss'} <= validation[0].keys()
    assert [row['step'] for row in read_json_lines(tmp_path / 'metrics.jsonl')] == [10, 20, 30]
    assert 'FineTuning.examples' in (tmp_path / 'config.gin').read_text()
    assert json.loads((tmp_path / 'training_input.json').read_text())['batch_size'] == 8


@pytest.mark.slow
def test_two_processes_fine_tune_and_validate_as_one_does(examples, tmp_path):
    script = str(REPOSITORY / 'tpu_scripts' / 'launch_local.sh')
    changes = {'TRAIN_STEPS': 2, 'trainer.Trainer.validate_every': 1, 'trainer.Trainer.log_every': 1}
    for processes, devices in ((1, 4), (2, 2)):
        command = [sys.executable, '-m', 'llmrec_jax.train']
        command += flags(examples, tmp_path / str(processes), **changes)
        launched = [script, str(processes), '--devices', str(devices), '--', *command]
        done = subprocess.run(launched, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    for log in ('metrics.jsonl', 'validation.jsonl'):
        one, two = (read_json_lines(tmp_path / processes / log) for processes in '12')
        assert [row['step'] for row in two] == [1, 2]
        assert [row['loss'] for row in two] == pytest.approx([row['loss'] for row in one], rel=1e-5)


def spoil(examples, tmp_path):
    """A copy of the training examples with one bit of one shard changed."""
    store = tmp_path / 'spoiled'
    subprocess.run(['cp', '-r', examples / 'train', store], check=True)
    path = store / 'targets.values-00001-of-00002'
    content = bytearray(path.read_bytes())
    content[4] ^= 1
    path.write_bytes(content)
    return {'EXAMPLES': store}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (spoil, r'targets.values-00001-of-00002: damaged'),
        ({'EXAMPLES': 'nowhere'}, 'nowhere/manifest.json: not found'),
        ({'config.T5Config.vocab_size': 20}, 'vocabulary of .* tokens, but the network has room for 20'),
        ({'early_stopping.BestMetric.mode': 'max'}, "must be 'loss' and its mode 'min'"),
        (
            {'TASK_FEATURE_LENGTHS': "{'inputs':8,'targets':32}"},
            "of feature 'inputs' has .* tokens, more than",
        ),
    ],
)
def test_bad_input_ends_with_one_message_before_anything_is_trained(
    examples, tmp_path, capsys, change, message
):
    changes = change(examples, tmp_path) if callable(change) else change
    with pytest.raises(SystemExit):
        train.main(flags(examples, tmp_path / 'run', **changes))
    said = capsys.readouterr().err
    assert re.search(message, said) and 'Traceback' not in said, said
    assert not (tmp_path / 'run' / 'checkpoints').exists()


def test_gin_files_that_configure_nothing_to_train_are_an_error(capsys):
    with pytest.raises(SystemExit):
        train.main(['--gin_file=gin_configs/models/tiger_tiny.gin'])
    said = capsys.readouterr().err
    assert re.search('must configure one System, and configure none', said), said
