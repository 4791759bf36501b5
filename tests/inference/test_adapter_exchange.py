"""Low-rank adapters go from PEFT's format into a checkpoint and back, and into the weights of a folder."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

from llmrec_jax import export_weights, import_adapter
from llmrec_jax.models.hf_weights import load_hf
from llmrec_jax.models.hf_weights.adapters import write_adapter
from llmrec_jax.models.hf_weights.names import hf_name, parameter_shapes
from llmrec_jax.models.lora import Lora, is_adapter, merged
from llmrec_jax.training.checkpoints import Checkpoints
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.train_state import TrainState
from tests.inference.test_weights_exchange import message
from tests.small_t5 import GATED, random_params

LORA = Lora(('.*attention/(query|value)', 'decoder/layers_1/mlp/wo'), rank=3, alpha=6.0, dropout=0.25)
KERNELS = parameter_shapes(GATED)
NETWORK = '\n'.join(
    [
        'from __gin__ import dynamic_registration',
        'from llmrec_jax.models.t5 import config',
        *(
            f'config.T5Config.{name} = {getattr(GATED, name)!r}'
            for name in ('vocab_size', 'emb_dim', 'num_heads', 'head_dim', 'mlp_dim', 'num_encoder_layers')
        ),
        f'config.T5Config.num_decoder_layers = {GATED.num_decoder_layers}',
        f'config.T5Config.mlp_activations = {GATED.mlp_activations!r}',
    ]
)


@pytest.fixture(scope='module')
def adapters():
    rng = np.random.default_rng(2)
    shapes = parameter_shapes(dataclasses.replace(GATED, lora=LORA))
    return {
        path: rng.normal(size=shape).astype(np.float32) for path, shape in shapes.items() if is_adapter(path)
    }


@pytest.fixture(scope='module')
def peft_folder(adapters, tmp_path_factory):
    folder = tmp_path_factory.mktemp('peft') / 'adapter'
    return write_adapter(folder, LORA, adapters, KERNELS, hf_name, task_type='SEQ_2_SEQ_LM', base='tiny')


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp('base')
    checkpoints = Checkpoints(folder, keep=1)
    params = traverse_util.unflatten_dict(random_params(), sep='/')
    checkpoints.save(0, TrainState(np.int32(0), params, ()))
    checkpoints.close()
    (folder / 'network.gin').write_text(NETWORK)
    return folder


def imported(base, source, output):
    import_adapter.main(importing(base, source, output))
    return output / 'checkpoint_0'


def importing(base, source, output, *more):
    return [
        f'--gin_file={base}/network.gin',
        f'--base={base}/checkpoint_0',
        f'--source={source}',
        f'--output={output}',
        *more,
    ]


@pytest.fixture(scope='module')
def checkpoint(base, peft_folder, tmp_path_factory):
    return imported(base, peft_folder, tmp_path_factory.mktemp('imported') / 'adapter')


def exporting(checkpoint, output, *more):
    network = checkpoint.parent / 'network.gin'
    return [f'--gin_file={network}', f'--checkpoint={checkpoint}', f'--output={output}', *more]


def test_the_format_is_pefts(peft_folder, adapters):
    config = json.loads((peft_folder / 'adapter_config.json').read_text())
    assert (config['r'], config['lora_alpha'], config['lora_dropout']) == (3, 6, 0.25)
    # Of `wo` one is adapted, so that the name alone would say too much.
    assert config['target_modules'] == ['decoder.block.1.layer.2.DenseReluDense.wo', 'q', 'v']
    tensors = safetensors.numpy.load_file(peft_folder / 'adapter_model.safetensors')
    assert len(tensors) == len(adapters) == 2 * (2 * (3 + 2 + 2) + 1)
    a = tensors['base_model.model.decoder.block.1.layer.1.EncDecAttention.v.lora_A.weight']
    np.testing.assert_array_equal(a.T, adapters['decoder/layers_1/encoder_decoder_attention/value/lora_a'])


def test_import_and_export_lead_back_to_the_same_bytes(peft_folder, checkpoint, adapters, tmp_path):
    saved = traverse_util.flatten_dict(load_params(checkpoint), sep='/')
    assert saved.keys() == adapters.keys()
    export_weights.main(exporting(checkpoint, tmp_path / 'back', '--adapter', '--base=tiny'))
    for name in ('adapter_config.json', 'adapter_model.safetensors'):
        assert (tmp_path / 'back' / name).read_bytes() == (peft_folder / name).read_bytes()


def test_adapters_are_merged_into_the_exported_weights(checkpoint, adapters, tmp_path):
    export_weights.main(exporting(checkpoint, tmp_path / 'hf'))
    config, params = load_hf(tmp_path / 'hf')
    assert config.lora is None
    whole = traverse_util.unflatten_dict(random_params() | adapters, sep='/')
    expected = traverse_util.flatten_dict(merged(whole, LORA), sep='/')
    for path, value in traverse_util.flatten_dict(params, sep='/').items():
        np.testing.assert_array_equal(value, expected[path], err_msg=path)
    merged_path = 'decoder/layers_1/mlp/wo/kernel'
    assert not np.array_equal(expected[merged_path], random_params()[merged_path])


def test_adapters_of_something_else_are_refused(peft_folder, base, tmp_path, capsys, adapters):
    def refused(name, config=None, tensors=None):
        folder = tmp_path / name
        folder.mkdir()
        there = json.loads((peft_folder / 'adapter_config.json').read_text())
        (folder / 'adapter_config.json').write_text(json.dumps(there | (config or {})))
        stored = safetensors.numpy.load_file(peft_folder / 'adapter_model.safetensors')
        safetensors.numpy.save_file(stored | (tensors or {}), folder / 'adapter_model.safetensors')
        return message(capsys, import_adapter, importing(base, folder, tmp_path / f'{name}_out'))

    name = 'base_model.model.decoder.block.0.layer.1.EncDecAttention.v.lora_A.weight'
    assert 'not of rank 4' in refused('rank', {'r': 4})
    wide = {name: np.zeros((3, 32), np.float32)}
    assert f'{name} has shape (3, 32)' in refused('width', tensors=wide)
    deep = {name.replace('block.0', 'block.7'): np.zeros((3, 16), np.float32)}
    assert 'no adapter of this network' in refused('depth', tensors=deep)
    assert 'use_dora=True' in refused('kind', {'use_dora': True})
    (tmp_path / 'cut').mkdir()
    assert 'holds no adapter_config.json' in message(
        capsys, import_adapter, importing(base, tmp_path / 'cut', tmp_path / 'cut_out')
    )
