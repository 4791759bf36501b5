"""A vocabulary as `tokenizer.json` gives SentencePiece's ids; tests/parity asks transformers itself."""

import json
import random
import unicodedata

import pytest
import tokenizers

from llmrec_jax.text.hf_tokenizer import (
    build_tokenizer,
    check_agreement,
    sample_texts,
    tokenizer_config,
    tokenizer_files,
)
from llmrec_jax.text.text_vocabulary import EOS, TextVocabulary
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from tests.text.vocabularies import prompt_texts, sentencepiece_model

# Composed and decomposed, wide and narrow, with marks, from the right, and without letters.
SCRIPTS = (
    'Tiếng Việt được viết', '각각의 한국어 문장', 'がぎぐげご パピプペポ', 'ｶﾞｷﾞﾊﾟ', 'Ελληνικά ά έ ή',
    'हिन्दी में क़ ख़', 'Ångström ñandú ç', 'שָׁלוֹם', 'العَرَبِيَّة', 'ไทย ก็', '𝔘𝔫𝔦𝔠𝔬𝔡𝔢',
    '㍿ ﷺ Ⅷ ⁴ ½', '全角～チルダ', 'a\u200bb\u00ad', '😀👍🏽👨\u200d👩', '\U0010ffff\ue000\x01\x7f',
)  # fmt: skip


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder, texts = tmp_path_factory.mktemp('words'), [*prompt_texts(), 'naïve Café 日本語 x^2']

    def unigram(name, size, **options):
        model = sentencepiece_model(texts, size, model_type='unigram', **options)
        return TextVocabulary(str(folder / name), model)

    def bpe(digits, symbols=('▁item_', '▁user_', '▁,')):
        source = TrainedVocabulary(1200, digits_per_token=digits, symbols=symbols)
        return source.train(texts, folder / f'bpe_{digits}')

    return {
        'bpe, words': bpe(None, ()),
        'bpe, digits': bpe(1),
        'bpe, pairs of digits': bpe(2),
        'unigram': unigram('unigram', 450),
        'unigram, bytes and symbols': unigram(
            'bytes', 650, byte_fallback=True, user_defined_symbols=['▁item_', '12', '123']
        ),
        'unigram, no normalization': unigram('plain', 450, normalization_rule_name='identity'),
        'unigram, all spaces': unigram('spaces', 450, remove_extra_whitespaces=False),
    }


KINDS = (
    'bpe, words', 'bpe, digits', 'bpe, pairs of digits', 'unigram', 'unigram, bytes and symbols',
    'unigram, no normalization',
)  # fmt: skip


@pytest.mark.parametrize('kind', KINDS)
def test_ids_are_those_of_sentencepiece(trained, kind):
    vocabulary = trained[kind]
    tokenizer = build_tokenizer(vocabulary)
    draw = random.Random(1)
    printable = [chr(code) for code in range(32, 127)]
    drawn = [''.join(draw.choices(printable, k=draw.randint(1, 40))) for _ in range(400)]
    scripts = [unicodedata.normalize(form, text) for text in SCRIPTS for form in ('NFC', 'NFD', 'NFKD')]
    texts = [*sample_texts(vocabulary), *prompt_texts(100, seed=5), *drawn, *scripts]
    differing = [text for text in texts if tokenizer.encode(text).ids != [*vocabulary.encode(text), EOS]]
    assert not differing


def test_the_folder_s_files_read_alone_give_the_ids_and_lead_back_to_the_text(trained, tmp_path):
    vocabulary = trained['bpe, pairs of digits']
    for name, content in tokenizer_files(vocabulary).items():
        (tmp_path / name).write_bytes(content)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'spiece.model',
        'tokenizer.json',
        'tokenizer_config.json',
    ]
    read = tokenizers.Tokenizer.from_file(str(tmp_path / 'tokenizer.json'))
    text = 'user_23 has bought item_7391 , ☃ and <extra_id_0> .'
    ids = read.encode(text).ids
    assert ids == [*vocabulary.encode(text), EOS]
    # An extra id's space is its own, as in T5's tokenizer.
    assert read.decode(ids, skip_special_tokens=False) == text.replace(' <extra', '<extra') + '</s>'
    assert vocabulary.encode(' 73')[-1] == read.token_to_id('73')
    config = json.loads((tmp_path / 'tokenizer_config.json').read_text())
    assert config == tokenizer_config(vocabulary)
    names = [config['pad_token'], config['eos_token'], config['unk_token']]
    assert [read.token_to_id(name) for name in names] == [0, 1, 2]
    extra = [read.token_to_id(name) for name in config['additional_special_tokens']]
    assert extra == list(range(vocabulary.size - 1, vocabulary.size - 101, -1))


def test_where_ids_would_differ_no_file_is_made(trained):
    # What follows an extra id begins with a space of its own and with the one that begins a text.
    with pytest.raises(ValueError, match='other ids for'):
        tokenizer_files(trained['unigram, all spaces'])


def test_a_tokenizer_that_differs_is_found_out_and_named(trained):
    vocabulary = trained['bpe, words']
    other = build_tokenizer(trained['unigram'])
    with pytest.raises(ValueError, match="other ids for 'user_23"):
        check_agreement(other, vocabulary, ['', 'user_23 has'])


def test_what_has_no_counterpart_is_refused():
    texts = prompt_texts(200)
    suffixed = sentencepiece_model(texts, 300, model_type='bpe', treat_whitespace_as_suffix=True)
    with pytest.raises(ValueError, match='marks spaces in another way'):
        tokenizer_files(TextVocabulary('suffixed', suffixed))
    numbers = ' '.join(map(str, range(10)))
    words = sentencepiece_model([f'a b c {numbers}'] * 50, 30, model_type='word', hard_vocab_limit=False)
    with pytest.raises(ValueError, match='neither a unigram model nor one of byte-pair encoding'):
        tokenizer_files(TextVocabulary('words', words))
