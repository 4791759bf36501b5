"""Tokenizers of decoders for tests: one in a folder, and the same in a GGUF file."""

import json

import pytest

from llmrec_jax.text.tokenizer_files import TokenizerFiles
from llmrec_jax.text.tokenizer_sources import TrainedTokenizer
from tests.text.vocabularies import prompt_texts

# As SmolLM2's, with a system's message of its own.
CHAT = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<s>system\nYou help<eos>\n' }}{% endif %}"
    "{{'<s>' + message['role'] + '\n' + message['content'] + '<eos>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
).replace('<eos>', '</s>')


def trained(folder, size=600):
    return TrainedTokenizer(size).make_at(folder, prompt_texts(500))


def with_chat(vocabulary, folder, template=CHAT):
    config = {**vocabulary.files.config, 'chat_template': template}
    TokenizerFiles(vocabulary.files.tokenizer, config).write(folder)
    return type(vocabulary).load(folder)


def write_gguf(path, vocabulary, pre='smollm', **others):
    """The vocabulary as llama.cpp's converter would write it, with other settings for some."""
    gguf = pytest.importorskip('gguf')
    model = json.loads(vocabulary.files.tokenizer)['model']
    tokens = sorted(model['vocab'], key=model['vocab'].get)
    special = vocabulary.files.config
    writer = gguf.GGUFWriter(path, 'llama')
    writer.add_tokenizer_model(others.get('model', 'gpt2'))
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special.values() else 1 for token in tokens])
    writer.add_token_merges([' '.join(pair) for pair in model['merges']])
    writer.add_pad_token_id(vocabulary.pad_id)
    writer.add_bos_token_id(vocabulary.bos_id)
    writer.add_eos_token_id(vocabulary.eos_id)
    writer.add_add_bos_token(others.get('add_bos', False))
    if 'chat_template' in others:
        writer.add_chat_template(others['chat_template'])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
