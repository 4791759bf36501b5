"""Tokenizers of decoders as vocabularies: from a folder, from a GGUF file, and for SeqIO."""

import dataclasses
import json
import pathlib
import pickle

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from llmrec_jax.text.installed_file import InstalledFile
from llmrec_jax.text.tokenizer_files import TokenizerFiles
from llmrec_jax.text.tokenizer_sources import ModelTokenizer, TrainedTokenizer
from llmrec_jax.text.tokenizer_vocabulary import TokenizerVocabulary, check_room
from llmrec_jax.text.vocabulary_sources import VocabularySource
from tests.text.decoder_tokenizers import CHAT, trained, with_chat, write_gguf
from tests.text.vocabularies import prompt_texts


@pytest.fixture(scope='module')
def words(tmp_path_factory):
    return trained(tmp_path_factory.mktemp('tokenizer') / 'words')


# '<' could begin a special token.
TEXTS = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='<'), max_size=40)


@given(text=TEXTS)
def test_a_text_is_its_tokens_again(words, text):
    tokens = words.encode(text)
    assert words.decode([*tokens, words.eos_id, 9, 0]) == words.normalized(text) == text
    # Padding is what stands behind the last token; none of these ends with it.
    assert words.decode([*tokens, 0, 0]) == text


def test_special_tokens_are_read_where_they_are_written_and_not_written_back(words):
    assert (words.pad_id, words.bos_id, words.eos_id, words.unk_id, words.start_id) == (0, 1, 2, None, None)
    assert words.encode('<s>') == [1]
    assert words.decode([1, *words.encode('user'), 1]) == 'user'
    assert words.size == 600
    # Beyond the last token a network may have rows.
    assert words.decode([*words.encode('user'), 600]) == 'user'


def test_digits_are_tokens_of_their_own(words, tmp_path):
    assert words.pieces('item_7391')[-4:] == ['7', '3', '9', '1']
    whole = TrainedTokenizer(600, single_digits=False).make_at(tmp_path / 'whole', prompt_texts(500))
    assert len(whole.encode('item_123')) < len(words.encode('item_123'))


def test_a_zero_within_a_row_is_a_token(words, tmp_path):
    """In LLaMA 3 it is '!'."""
    record = json.loads(words.files.tokenizer)
    record['added_tokens'] = [one for one in record['added_tokens'] if one['id']]
    vocabulary = record['model']['vocab']
    exclamation = vocabulary.pop('!')
    del vocabulary['<pad>']
    vocabulary['!'] = 0
    config = {role: token for role, token in words.files.config.items() if role != 'pad_token'}
    files = TokenizerFiles(json.dumps(record).encode(), config)
    other = TokenizerVocabulary(str(tmp_path), files)
    assert words.encode('!') == [exclamation]
    assert other.encode('a!b')[1] == 0
    assert other.decode(other.encode('a!b')) == 'a!b'
    assert other.decode([*other.encode('a!'), other.eos_id, 0]) == 'a!'


def test_a_chat_is_written_as_the_template_says(words, tmp_path):
    pytest.importorskip('jinja2')
    chat = with_chat(words, tmp_path / 'chat')
    assert chat.chat('Hi') == '<s>system\nYou help</s>\n<s>user\nHi</s>\n<s>assistant\n'
    assert chat.chat('Hi', 'Be brief') == '<s>system\nBe brief</s>\n<s>user\nHi</s>\n<s>assistant\n'
    assert chat.encode(chat.chat('Hi'))[0] == chat.bos_id
    assert chat.fingerprint != words.fingerprint
    with pytest.raises(ValueError, match='no chat template'):
        words.chat('Hi')
    for template, wrong in (
        ("{{ raise_exception('no system') }}", 'no system'),
        ('{% if %}', 'cannot be read'),
        ("{{ ''.__class__.__mro__ }}", 'refuses'),
        ('{{ messages.append(1) }}', 'refuses'),
    ):
        with pytest.raises(ValueError, match=wrong):
            with_chat(words, tmp_path / 'wrong', template).chat('Hi')


def test_a_template_may_lie_beside_or_be_one_of_many(words, tmp_path):
    beside = trained(tmp_path / 'beside')
    (tmp_path / 'beside' / 'chat_template.jinja').write_text(CHAT)
    assert TokenizerVocabulary.load(tmp_path / 'beside').files.chat_template == CHAT
    named = [{'name': 'tool_use', 'template': 'x'}, {'name': 'default', 'template': CHAT}]
    assert with_chat(beside, tmp_path / 'many', named).files.chat_template == CHAT
    special = {'eos_token': {'content': '<s>', 'lstrip': False}}
    config = {role: token for role, token in words.files.config.items() if role != 'eos_token'}
    TokenizerFiles(words.files.tokenizer, config).write(tmp_path / 'old')
    (tmp_path / 'old' / 'special_tokens_map.json').write_text(json.dumps(special))
    assert TokenizerVocabulary.load(tmp_path / 'old').eos_id == 1


def test_a_gguf_file_gives_the_same_tokenizer(words, tmp_path):
    path = write_gguf(tmp_path / 'model.gguf', words, chat_template=CHAT)
    source = ModelTokenizer(str(path))
    assert isinstance(source, VocabularySource)
    read = source.make_at(tmp_path / 'run')
    assert (read.bos_id, read.eos_id, read.size, read.start_id) == (1, 2, words.size, None)
    for text in [*prompt_texts(50, seed=3), '<s>a 12  b</s>\n', "é ½ 日本 😀 can't"]:
        assert read.encode(text) == words.encode(text)
        assert read.decode(read.encode(text)) == words.decode(words.encode(text))
    assert read.files.chat_template == CHAT
    assert source.load_at(tmp_path / 'run').fingerprint == read.fingerprint
    begun = ModelTokenizer(str(write_gguf(tmp_path / 'begun.gguf', words, add_bos=True))).read()
    assert begun.start_id == 1


@pytest.mark.parametrize(
    ('pre', 'cut'),
    [
        ('smollm', ['I', "'", 'M', 'Ġit', "'s", 'ĠÃ©', 'Ġ', '1', '2', '3', '4', 'ĊĊ']),
        ('llama-bpe', ['I', "'M", 'Ġit', "'s", 'ĠÃ©', 'Ġ', '123', '4', 'ĊĊ']),
        ('qwen2', ['I', "'M", 'Ġit', "'s", 'ĠÃ©', 'Ġ', '1', '2', '3', '4', 'ĊĊ']),
    ],
)
def test_texts_are_cut_as_the_gguf_file_says(words, tmp_path, pre, cut):
    read = ModelTokenizer(str(write_gguf(tmp_path / 'model.gguf', words, pre=pre))).read()
    tokenizer = tokenizers.Tokenizer.from_buffer(read.files.tokenizer)
    found = tokenizer.pre_tokenizer.pre_tokenize_str("I'M it's é 1234\n\n")
    assert [piece for piece, _ in found] == cut
    # Qwen joins a letter and its marks before.
    assert (read.encode('e\u0301') == read.encode('é')) == (pre == 'qwen2')


def test_a_gguf_file_that_cannot_be_read_says_why(words, tmp_path):
    path = write_gguf(tmp_path / 'model.gguf', words)
    content = path.read_bytes()
    (tmp_path / 'short.gguf').write_bytes(content[: len(content) // 2])
    (tmp_path / 'other.gguf').write_bytes(b'PK\x03\x04' + content[4:])
    for name, wrong in (
        ('short.gguf', 'cut short'),
        ('other.gguf', 'cut short'),
        (write_gguf(tmp_path / 'pre.gguf', words, pre='chameleon').name, "'chameleon'"),
        (write_gguf(tmp_path / 'kind.gguf', words, model='rwkv').name, "'rwkv'"),
    ):
        with pytest.raises(ValueError, match=wrong):
            ModelTokenizer(str(tmp_path / name)).read()
    with pytest.raises(FileNotFoundError, match='absent.gguf'):
        ModelTokenizer(str(tmp_path / 'absent.gguf')).read()


def test_a_tokenizer_that_will_not_do_is_refused(words, tmp_path):
    config = dict(words.files.config)
    for files, wrong in (
        (TokenizerFiles(b'{}', config), 'tokenizer.json'),
        (TokenizerFiles(words.files.tokenizer, {}), 'eos_token'),
        (TokenizerFiles(words.files.tokenizer, {**config, 'eos_token': '<end>'}), '<end>'),
    ):
        with pytest.raises(ValueError, match=wrong):
            TokenizerVocabulary('here', files)
    with pytest.raises(FileNotFoundError, match=r'tokenizer\.json'):
        TokenizerVocabulary.load(tmp_path)
    check_room(words, 600)
    with pytest.raises(ValueError, match='room for 599'):
        check_room(words, 599)
    with pytest.raises(ValueError, match='at least 259'):
        TrainedTokenizer(258)


def test_a_file_of_a_package_is_looked_for_when_it_is_opened():
    absent = InstalledFile('no_such_package', 'model.gguf', 'make it')
    assert dataclasses.replace(absent, name='x') != absent
    with pytest.raises(FileNotFoundError, match='make it'):
        ModelTokenizer(absent).read()
    present = InstalledFile('tokenizers', '__init__.py', 'make it')
    assert 'tokenizers' in pathlib.Path(present).read_text()


def test_seqio_gets_the_same_tokens(words):
    tf = pytest.importorskip('tensorflow')
    twin = words.seqio()
    texts = ['user_23 has bought item_7391', 'é 😀', '']
    dataset = tf.data.Dataset.from_tensor_slices(texts).map(twin.encode_tf)
    assert [row.tolist() for row in dataset.as_numpy_iterator()] == [words.encode(text) for text in texts]
    rows = np.asarray([[*words.encode('user_2'), 2, 7], [*words.encode('é 1'), 0, 0, 0, 0]][:1], np.int32)
    assert twin.decode_tf(tf.constant(rows)).numpy().tolist() == [b'user_2']
    assert twin.decode(rows[0].tolist()) == 'user_2'
    assert (twin.vocab_size, twin.pad_id, twin.eos_id, twin.bos_id) == (600, 0, 2, 1)
    again = pickle.loads(pickle.dumps(words))
    assert again.seqio() == twin
    assert hash(again.seqio()) == hash(twin)
