"""A sentence-transformers directory with a tiny random BERT, laid out as the published ones are."""

import json

import numpy as np
import pytest
import safetensors.numpy

CONFIG = {
    'model_type': 'bert',
    'hidden_act': 'gelu',
    'vocab_size': 40,
    'hidden_size': 12,
    'num_hidden_layers': 2,
    'num_attention_heads': 3,
    'intermediate_size': 20,
    'max_position_embeddings': 48,
    'type_vocab_size': 2,
    'layer_norm_eps': 1e-12,
}
VOCABULARY = [
    '[PAD]',
    '[UNK]',
    '[CLS]',
    '[SEP]',
    '[MASK]',
    'red',
    'blue',
    'polish',
    'brush',
    '##es',
    'the',
    '.',
]


def tensors(config, rng):
    width, inner = config['hidden_size'], config['intermediate_size']
    shapes = {
        'embeddings.word_embeddings.weight': (config['vocab_size'], width),
        'embeddings.position_embeddings.weight': (config['max_position_embeddings'], width),
        'embeddings.token_type_embeddings.weight': (config['type_vocab_size'], width),
        'embeddings.LayerNorm.weight': (width,),
        'embeddings.LayerNorm.bias': (width,),
        'pooler.dense.weight': (width, width),
        'pooler.dense.bias': (width,),
    }
    for layer in range(config['num_hidden_layers']):
        for part, (inputs, outputs) in {
            'attention.self.query': (width, width),
            'attention.self.key': (width, width),
            'attention.self.value': (width, width),
            'attention.output.dense': (width, width),
            'intermediate.dense': (width, inner),
            'output.dense': (inner, width),
        }.items():
            shapes[f'encoder.layer.{layer}.{part}.weight'] = (outputs, inputs)
            shapes[f'encoder.layer.{layer}.{part}.bias'] = (outputs,)
        for part in ('attention.output.LayerNorm', 'output.LayerNorm'):
            shapes[f'encoder.layer.{layer}.{part}.weight'] = (width,)
            shapes[f'encoder.layer.{layer}.{part}.bias'] = (width,)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def write_sentence_files(directory):
    (directory / '1_Pooling').mkdir(exist_ok=True)
    pooling = {
        'word_embedding_dimension': 12,
        'pooling_mode_cls_token': False,
        'pooling_mode_mean_tokens': True,
    }
    (directory / '1_Pooling' / 'config.json').write_text(json.dumps(pooling))
    (directory / 'sentence_bert_config.json').write_text('{"max_seq_length": 32}')
    (directory / 'vocab.txt').write_text('\n'.join(VOCABULARY) + '\n')


@pytest.fixture
def tiny_config():
    return CONFIG


@pytest.fixture
def tiny_sentence_files():
    return write_sentence_files


@pytest.fixture
def model_directory(tmp_path):
    directory = tmp_path / 'model'
    directory.mkdir()
    (directory / 'config.json').write_text(json.dumps(CONFIG))
    safetensors.numpy.save_file(tensors(CONFIG, np.random.default_rng(0)), directory / 'model.safetensors')
    write_sentence_files(directory)
    return directory
