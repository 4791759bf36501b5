"""Hugging Face folders of decoders; `test_transformers_parity` compares with transformers itself."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

from llmrec_jax.models.decoder_only.config import LinearRope
from llmrec_jax.models.hf_weights import load_hf, read_config, write_hf
from llmrec_jax.models.hf_weights.decoder_config_file import config_content, decoder_config
from llmrec_jax.models.hf_weights.decoder_names import hf_name, parameter_shapes
from tests.models.decoder_only.small import EVERYTHING, LLAMA, random_params
from tests.models.decoder_only.test_model_sizes import PUBLISHED, size
from tests.small_t5 import readers

GEMMA = dataclasses.replace(EVERYTHING, qkv_bias=False, attention_logit_soft_cap=None, query_scale=0.25)
CONFIGS = {'llama': LLAMA, 'gemma': GEMMA}


def folder_of(directory, config=LLAMA, **settings):
    params = traverse_util.flatten_dict(random_params(config), sep='/')
    return write_hf(directory, config, readers(params), **settings), params


@pytest.mark.parametrize('file_bytes', [10**9, 4000], ids=['one file', 'many files'])
@pytest.mark.parametrize('config', CONFIGS.values(), ids=CONFIGS)
def test_what_is_written_is_read_and_written_again(tmp_path, config, file_bytes):
    scanned = dataclasses.replace(config, scan_layers=True)
    folder, params = folder_of(tmp_path / 'first', scanned, file_bytes=file_bytes, tokens={'eos_token_id': 2})
    read, tree = load_hf(folder)
    assert read == config
    found = traverse_util.flatten_dict(tree, sep='/')
    assert found.keys() == params.keys()
    for path, leaf in params.items():
        np.testing.assert_array_equal(found[path], leaf, err_msg=path)
    again = write_hf(
        tmp_path / 'again', read, readers(found), file_bytes=file_bytes, tokens={'eos_token_id': 2}
    )
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert first == {path.name: path.read_bytes() for path in again.iterdir()}
    assert (len(first) > 4) == (file_bytes == 4000)
    assert json.loads(first['generation_config.json']) == {'eos_token_id': 2}


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_networks_have_a_config_json(name):
    config = size(name)
    read = decoder_config(json.loads(json.dumps(config_content(config, 'bfloat16'))), 'config.json')
    same = {field: getattr(config, field) for field in ('dtype', 'scan_layers', 'remat_policy')}
    if 'gemma' in name:
        assert read.query_scale == pytest.approx(256**-0.5)
        same['query_scale'] = None
    assert dataclasses.replace(read, **same) == config


def test_older_and_newer_files_of_gemma_3_say_the_same():
    older = config_content(GEMMA, 'float32')
    rest = {name: value for name, value in older.items() if 'rope' not in name and 'pattern' not in name}
    newer = rest | {
        'rope_parameters': {
            'full_attention': {'rope_type': 'default', 'rope_theta': GEMMA.rope_base},
            'sliding_attention': {'rope_type': 'default', 'rope_theta': GEMMA.local_rope_base},
        }
    }
    assert decoder_config(newer, '') == decoder_config(older, '') == GEMMA
    scaled = older | {'rope_scaling': {'rope_type': 'linear', 'factor': 8.0}}
    assert decoder_config(scaled, '') == dataclasses.replace(GEMMA, rope_scaling=LinearRope(8.0))


def test_no_two_parameters_share_a_name():
    names = [hf_name(path) for path in parameter_shapes(EVERYTHING)]
    assert None not in names and len(set(names)) == len(names)
    assert hf_name('decoder/layers_0/mlp/wi_0/lora_a') is None
    assert hf_name('decoder/something/kernel') is None


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'model_type': 'gpt2'}, "of a 'gpt2'; networks of this library are t5, llama"),
        ({'attention_bias': True}, 'attention_bias is True'),
        ({'hidden_act': 'relu'}, "activation of a llama is 'relu'"),
        ({'rope_scaling': {'rope_type': 'yarn', 'factor': 4.0}}, "scaled by 'yarn'"),
        ({'hidden_size': None}, 'has no .hidden_size'),
        ({'intermediate_size': 20}, r'gate_proj.weight. has shape \(16, 24\) where .* needs \(16, 20\)'),
        ({'tie_word_embeddings': True}, 'lm_head.weight. differs from the embedding'),
        ({'model_type': 'qwen3'}, 'no tensor .model.layers.0.self_attn.[kq]_norm.weight'),
        ({'num_hidden_layers': 1}, r'model\.layers\.1\..*has no place'),
    ],
)
def test_another_network_is_refused_by_name(tmp_path, changed, message):
    folder, _ = folder_of(tmp_path / 'hf')
    content = json.loads((folder / 'config.json').read_text()) | changed
    content = {name: value for name, value in content.items() if value is not None or name == 'rope_scaling'}
    (folder / 'config.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        load_hf(folder)


def test_layers_that_are_global_at_odd_places_are_refused():
    content = config_content(GEMMA, 'float32') | {
        'layer_types': ['full_attention', 'full_attention', 'sliding_attention']
    }
    with pytest.raises(ValueError, match='not every 1-th layer is global'):
        decoder_config(content, 'config.json')


def test_a_tied_head_may_be_stored_too_and_frequencies_are_not_read(tmp_path):
    folder, params = folder_of(tmp_path / 'hf', GEMMA)
    tensors = safetensors.numpy.load_file(folder / 'model.safetensors')
    tensors['lm_head.weight'] = np.asarray(params['token_embedder/embedding'])
    tensors['model.layers.0.self_attn.rotary_emb.inv_freq'] = np.ones(3, np.float32)
    safetensors.numpy.save_file(tensors, folder / 'model.safetensors')
    assert load_hf(folder)[0] == GEMMA


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (EVERYTHING, 'no such network'),
        (dataclasses.replace(LLAMA, final_logit_soft_cap=3.0), 'DecoderConfig.final_logit_soft_cap'),
        (dataclasses.replace(LLAMA, sliding_window=3), 'DecoderConfig.sliding_window'),
    ],
)
def test_a_network_that_they_do_not_have_is_not_written(tmp_path, config, message):
    with pytest.raises(ValueError, match=message):
        write_hf(tmp_path / 'hf', config, {})
    assert not list(tmp_path.iterdir())


def test_a_missing_shard_is_named(tmp_path):
    folder, _ = folder_of(tmp_path / 'hf', file_bytes=4000)
    next(folder.glob('*00002-of*')).unlink()
    with pytest.raises(FileNotFoundError, match='00002-of'):
        load_hf(folder)
    assert read_config(folder) == LLAMA
