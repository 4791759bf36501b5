"""Fine-tuning of low-rank adapters by the overlay, from a base to folders that others read."""

import pathlib

import numpy as np
import pytest
from flax import traverse_util

from llmrec_jax import export_weights, train
from llmrec_jax.models.hf_weights import load_hf
from llmrec_jax.models.hf_weights.adapters import read_adapter
from llmrec_jax.models.hf_weights.names import hf_name, parameter_shapes
from llmrec_jax.models.lora import is_adapter, merged
from llmrec_jax.models.t5 import T5Config
from llmrec_jax.stages.networks import GenerativeNetwork, Parameters
from llmrec_jax.training.checkpoints import Checkpoints
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.train_state import TrainState
from tests.recipes import load
from tests.systems.configured import configured
from tests.training.small_model import examples

TINY = {'vocab_size': 64, 'emb_dim': 16, 'num_heads': 2, 'head_dim': 8, 'mlp_dim': 32} | {
    'num_encoder_layers': 2,
    'num_decoder_layers': 2,
    'mlp_activations': ('gelu', 'linear'),
}
NETWORK = T5Config(**TINY)


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    """A checkpoint as `import_weights` writes it."""
    rng = np.random.default_rng(0)
    params = {path: 0.1 * rng.normal(size=shape) for path, shape in parameter_shapes(NETWORK).items()}
    params = {path: value.astype(np.float32) for path, value in params.items()}
    checkpoints = Checkpoints(tmp_path_factory.mktemp('base'), keep=1)
    checkpoints.save(0, TrainState(np.int32(0), traverse_util.unflatten_dict(params, sep='/'), ()))
    checkpoints.close()
    return checkpoints.path(0)


@pytest.fixture(scope='module')
def columns(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp('columns') / 'store', examples(64), {}).directory


def flags(base, columns, workdir, **changes):
    settings = {
        'WORKDIR': workdir,
        'EXAMPLES': columns,
        'INITIAL_CHECKPOINT': base,
        'TRAIN_STEPS': 3,
        'BATCH_SIZE': 16,
        'LORA_RANK': 2,
        'TASK_FEATURE_LENGTHS': "{'inputs':12,'targets':2}",
        'config.T5Config.dtype': 'float32',
        'config.T5Config.scan_layers': True,
        **{f'config.T5Config.{name}': value for name, value in TINY.items()},
        **changes,
    }
    files = ('flan_t5/finetune', 'models/flan_t5_small', 'overlays/lora')
    return [
        *(f'--gin_file=gin_configs/{name}.gin' for name in files),
        *(f'--gin.{name}={value}' for name, value in settings.items()),
    ]


@pytest.mark.smoke
def test_adapters_are_trained_restored_and_exported(base, columns, tmp_path):
    workdir = tmp_path / 'run'
    train.main(flags(base, columns, workdir))
    saved = load_params(workdir / 'checkpoints/checkpoint_3')
    named = traverse_util.flatten_dict(saved, sep='/')
    assert named and all(is_adapter(path) for path in named)

    answering = {}
    for way in ('apart', 'merged'):
        system = configured([*flags(base, columns, workdir), f"--gin.lora.Lora.at_inference='{way}'"])
        parameters = Parameters(GenerativeNetwork(system.network), system.trainer)
        answering[way] = traverse_util.flatten_dict(parameters.restore(system.run), sep='/')
    lora = system.network.lora
    whole = traverse_util.unflatten_dict(answering['apart'], sep='/')
    expected = traverse_util.flatten_dict(merged(whole, lora), sep='/')
    assert expected.keys() == answering['merged'].keys() == answering['apart'].keys() - named.keys()
    for path, value in expected.items():
        np.testing.assert_allclose(answering['merged'][path], value, atol=1e-6)

    export_weights.main([f'--gin_file={workdir}/config.gin', f'--output={tmp_path / "adapter"}', '--adapter'])
    _, adapters = read_adapter(tmp_path / 'adapter', parameter_shapes(NETWORK), hf_name)
    np.testing.assert_array_equal(
        adapters['decoder/layers_1/self_attention/query/lora_b'],
        named['decoder/layers/self_attention/query/lora_b'][1],
    )
    export_weights.main([f'--gin_file={workdir}/config.gin', f'--output={tmp_path / "hf"}'])
    exported = traverse_util.flatten_dict(load_hf(tmp_path / 'hf')[1], sep='/')
    path = 'self_attention/query/kernel'
    np.testing.assert_allclose(
        exported[f'decoder/layers_1/{path}'], expected[f'decoder/layers/{path}'][1], atol=1e-6
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'INITIAL_CHECKPOINT': None}, 'name the checkpoint that has them as Trainer.initial_checkpoint'),
        ({'LORA_PATTERNS': "('.*/queries',)"}, "Lora.patterns: '.*/queries' matches no projection"),
        ({'TRAINED': "('.*/lora',)"}, "Trainer.trained: '.*/lora' matches no parameter"),
        ({'config.T5Config.mlp_dim': 48}, 'has shape (2, 16, 48)'),
    ],
)
def test_one_message_before_anything_is_trained(base, columns, tmp_path, capsys, change, message):
    with pytest.raises(SystemExit):
        train.main(flags(base, columns, tmp_path / 'run', **change))
    said = capsys.readouterr().err
    assert message.partition(' (')[0] in said and 'Traceback' not in said, said
    assert not list(pathlib.Path(tmp_path).glob('run/checkpoints/checkpoint_*'))


def test_another_recipe_of_a_t5_takes_the_overlay():
    overlay = ('gin_configs/overlays/lora.gin',)
    system = load(
        'gin_configs/palr/smoke.gin', 'trainer.Trainer.initial_checkpoint="a/checkpoint_1"', after=overlay
    )
    assert system.network.lora.rank == 8
    assert system.trainer.trained == ('.*/lora_[ab]',)
