"""Hugging Face folders, written and read; tests/parity compares with transformers itself."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

from llmrec_jax.models.hf_weights import load_hf, read_config, write_hf
from llmrec_jax.models.hf_weights.names import COPIES, EMBEDDING, HEAD, hf_name, parameter_shapes
from tests.small_t5 import GATED, TIED, random_params, readers

CONFIGS = {
    '1.0': TIED,
    '1.1': dataclasses.replace(GATED, dropout_rate=0.25),
    'silu, scanned': dataclasses.replace(GATED, mlp_activations=('silu', 'linear'), scan_layers=True),
}


@pytest.mark.parametrize('file_bytes', [10**9, 4000], ids=['one file', 'many files'])
@pytest.mark.parametrize('version', CONFIGS)
def test_what_is_written_is_read_back_exactly(tmp_path, version, file_bytes):
    config, params = CONFIGS[version], random_params(CONFIGS[version])
    folder = write_hf(tmp_path / 'hf', config, readers(params), file_bytes=file_bytes)
    files = sorted(path.name for path in folder.glob('*.safetensors'))
    assert ('model.safetensors' in files) == (file_bytes == 10**9) == (len(files) == 1)
    read, tree = load_hf(folder, dropout_rate=None)
    assert read == dataclasses.replace(config, scan_layers=False)
    found = traverse_util.flatten_dict(tree, sep='/')
    assert found.keys() == params.keys()
    for path, leaf in params.items():
        np.testing.assert_array_equal(found[path], leaf, err_msg=path)
        assert found[path].dtype == np.float32


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_a_folder_that_is_read_and_written_again_is_the_same(tmp_path, dtype):
    write_hf(tmp_path / 'first', GATED, readers(random_params(dtype=dtype)), dtype=dtype, file_bytes=4000)
    config, tree = load_hf(tmp_path / 'first', dropout_rate=None)
    again = readers(traverse_util.flatten_dict(tree, sep='/'))
    write_hf(tmp_path / 'again', config, again, dtype=dtype, file_bytes=4000)
    first = {path.name: path.read_bytes() for path in (tmp_path / 'first').iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / 'again').iterdir()}
    assert len(first) > 4


def test_files_are_no_larger_than_they_may_be_and_the_index_knows_them(tmp_path):
    shapes, limit = parameter_shapes(GATED), 4000
    write_hf(tmp_path / 'hf', GATED, readers(random_params()), file_bytes=limit)
    index = json.loads((tmp_path / 'hf/model.safetensors.index.json').read_text())
    held = {path.name: safetensors.numpy.load_file(path) for path in (tmp_path / 'hf').glob('*.safetensors')}
    assert index['weight_map'] == {name: file for file, tensors in held.items() for name in tensors}
    assert set(index['weight_map']) == {hf_name(path) for path in shapes}
    sizes = {file: [tensor.nbytes for tensor in tensors.values()] for file, tensors in held.items()}
    assert all(sum(one) <= limit for one in sizes.values()) and min(map(len, sizes.values())) > 0
    assert index['metadata']['total_size'] == sum(map(sum, sizes.values()))
    assert sorted(held) == [f'model-{n:05d}-of-{len(held):05d}.safetensors' for n in range(1, len(held) + 1)]


def test_no_two_parameters_share_a_name():
    for config in CONFIGS.values():
        names = [hf_name(path) for path in parameter_shapes(config)]
        assert None not in names and len(set(names)) == len(names)
    assert hf_name('encoder/layers_0/attention/query/bias') is None
    assert hf_name('encoder/something/embedding') is None


@pytest.mark.parametrize('kept', [EMBEDDING, *COPIES, HEAD])
@pytest.mark.parametrize('config', [TIED, GATED])
def test_an_embedding_is_read_under_whichever_of_its_names_was_kept(tmp_path, config, kept):
    params = random_params(config)
    embedding = params['token_embedder/embedding']
    if 'decoder/logits_dense/kernel' in params:
        # A head of its own parameters that are the embedding, as T5 1.1 may have.
        params['decoder/logits_dense/kernel'] = embedding.T
    folder = write_hf(tmp_path / 'hf', config, readers(params))
    tensors = safetensors.numpy.load_file(folder / 'model.safetensors')
    for name in (EMBEDDING, HEAD):
        tensors.pop(name, None)
    safetensors.numpy.save_file({**tensors, kept: embedding}, folder / 'model.safetensors')
    found = traverse_util.flatten_dict(load_hf(folder)[1], sep='/')
    assert found.keys() == params.keys()
    for path, leaf in params.items():
        np.testing.assert_array_equal(found[path], leaf, err_msg=path)


def test_what_is_not_of_the_network_is_refused_by_name(tmp_path):
    folder = write_hf(tmp_path / 'hf', TIED, readers(random_params(TIED)))
    tensors = safetensors.numpy.load_file(folder / 'model.safetensors')

    def stored(**changed):
        safetensors.numpy.save_file({**tensors, **changed}, folder / 'model.safetensors')

    embedding = tensors['shared.weight']
    stored(**{'lm_head.weight': embedding, 'decoder.embed_tokens.weight': embedding})
    load_hf(folder)
    stored(**{'lm_head.weight': 2 * embedding})
    with pytest.raises(ValueError, match='lm_head.weight. differs from the embedding'):
        load_hf(folder)
    own_bias = 'encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight'
    stored(**{own_bias: np.zeros((32, 2), np.float32)})
    with pytest.raises(ValueError, match=rf'{own_bias}. has no place'):
        load_hf(folder)
    content = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**content, 'd_ff': 20}))
    with pytest.raises(ValueError, match=r'wi\.weight. has shape \(16, 24\) where .* needs \(16, 20\)'):
        load_hf(folder)


def test_a_file_that_the_index_names_and_is_missing_is_named(tmp_path):
    folder = write_hf(tmp_path / 'hf', GATED, readers(random_params()), file_bytes=8000)
    next(folder.glob('*00002-of*')).unlink()
    with pytest.raises(FileNotFoundError, match='00002-of'):
        load_hf(folder)
    (folder / 'model.safetensors.index.json').write_text('[]')
    with pytest.raises(ValueError, match='index.json is no index'):
        load_hf(folder)
    (folder / 'model.safetensors.index.json').unlink()
    with pytest.raises(FileNotFoundError, match='holds neither'):
        load_hf(folder)


@pytest.mark.parametrize('activations', [('gelu',), ('relu', 'linear')])
def test_a_network_that_they_do_not_have_is_refused(tmp_path, activations):
    config = dataclasses.replace(GATED, mlp_activations=activations)
    with pytest.raises(ValueError, match='has no feed-forward block'):
        write_hf(tmp_path / 'hf', config, {})
    assert not list(tmp_path.iterdir())


def test_whole_word_embeddings_are_left_out_only_when_that_is_asked_for(tmp_path):
    config = dataclasses.replace(GATED, whole_word_embeddings=8)
    params = random_params(config)
    assert 'encoder/whole_word_embedding/embedding' in params
    with pytest.raises(
        ValueError, match='encoder/whole_word_embedding/embedding has no place .* leave_out_extra'
    ):
        write_hf(tmp_path / 'hf', config, readers(params))
    assert not list(tmp_path.iterdir())
    write_hf(tmp_path / 'hf', config, readers(params), leave_out_extra=True)
    read, tree = load_hf(tmp_path / 'hf', dropout_rate=None)
    assert read == GATED
    del params['encoder/whole_word_embedding/embedding']
    found = traverse_util.flatten_dict(tree, sep='/')
    assert found.keys() == params.keys()


def test_nothing_is_left_of_a_folder_that_fails_and_nothing_is_overwritten(tmp_path):
    params = random_params()
    params['decoder/decoder_norm/scale'] = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match=r'decoder/decoder_norm/scale has shape \(3,\)'):
        write_hf(tmp_path / 'hf', GATED, readers(params))
    assert not list(tmp_path.iterdir())
    (tmp_path / 'mine').touch()
    with pytest.raises(FileExistsError, match='holds something already'):
        write_hf(tmp_path, GATED, readers(random_params()))
    assert [path.name for path in tmp_path.iterdir()] == ['mine']


def test_what_lies_beside_the_weights_goes_along(tmp_path):
    folder = write_hf(tmp_path / 'hf', GATED, readers(random_params()), beside={'spiece.model': b'pieces'})
    assert (folder / 'spiece.model').read_bytes() == b'pieces'
    assert json.loads((folder / 'generation_config.json').read_text())['decoder_start_token_id'] == 0
    assert read_config(folder).vocab_size == 32


@pytest.mark.parametrize(('config', 'tied'), [(GATED, False), (TIED, True)])
def test_both_versions_of_transformers_are_told_whether_logits_are_scaled(tmp_path, config, tied):
    folder = write_hf(tmp_path / 'hf', config, readers(random_params(config)))
    content = json.loads((folder / 'config.json').read_text())
    assert content['tie_word_embeddings'] is content['scale_decoder_outputs'] is tied
