"""Vocabularies without TensorFlow: T5's own, one trained on a run's texts, and files that will not do."""

import hashlib
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.prompts.naming.collaborative import CollaborativeNames
from llmrec_jax.prompts.naming.numbers import CodeNames, RandomNumbers
from llmrec_jax.prompts.naming.titles import TitleNames
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.text.vocabulary_sources import MODEL, T5Vocabulary, TrainedVocabulary
from tests.prompts.corpora import corpus_of
from tests.shared_data import shared_data
from tests.text.vocabularies import prompt_texts, sentencepiece_model
from tests.training.bucket_server import BucketServer

SIZE = 700
CODES = np.stack(np.unravel_index(np.arange(24), (4, 6)), axis=1)


@pytest.fixture(scope='module')
def texts():
    return prompt_texts()


@pytest.fixture(scope='module')
def trained(texts, tmp_path_factory):
    return TrainedVocabulary(SIZE, symbols=('▁item_', '▁user_', '▁,')).make_at(
        tmp_path_factory.mktemp('run'), texts
    )


@pytest.fixture(scope='module')
def t5():
    return TextVocabulary.load(shared_data('t5-vocab') / 'spiece.model')


def test_ids_are_split_by_the_public_vocabulary_as_the_paper_shows(t5):
    assert t5.pieces('user_23 has bought item_7391') == [
        '▁user', '_', '23', '▁has', '▁bought', '▁item', '_', '73', '91',
    ]  # fmt: skip
    assert t5.encode('item_7391') == [2118, 834, 4552, 4729]
    assert t5.pieces('item_10') == ['▁item', '_', '10']
    # What T5 has no piece for: a code would be decoded without its brackets.
    assert t5.decode(t5.encode('<0_12>')) == ' ⁇ 0_12>'


def test_a_trained_vocabulary_splits_ids_into_their_prefix_and_pairs_of_digits(trained, texts, tmp_path):
    assert trained.pieces('user_23 has bought item_7391')[:2] == ['▁user_', '23']
    assert trained.pieces('user_23 has bought item_7391')[-3:] == ['▁item_', '73', '91']
    assert trained.pieces('item_739 , item_0 .')[:5] == ['▁item_', '73', '9', '▁,', '▁item_']
    assert trained.pieces('item_77777') == ['▁item_', '77', '77', '7']
    single = TrainedVocabulary(SIZE, digits_per_token=1).make_at(tmp_path / 'single', texts)
    assert single.pieces('item_7391')[-5:] == ['_', '7', '3', '9', '1']
    triples = TrainedVocabulary(2000, digits_per_token=3).make_at(tmp_path / 'triples', texts)
    assert triples.pieces('item_7391')[-3:] == ['_', '739', '1']
    assert triples.pieces('item_73915')[-3:] == ['_', '739', '15']
    often = [f'user_{row % 7} has item_{row % 9} , item_{row % 5}' for row in range(900)]
    by_heart = TrainedVocabulary(330, extra_ids=0, digits_per_token=None).make_at(tmp_path / 'heart', often)
    assert by_heart.pieces('user_6 has item_8 , item_1') == ['▁user_6', '▁has', '▁item_8', '▁,', '▁item_1']
    codes = TrainedVocabulary(SIZE, symbols=('<0_12>', '<1_55>')).make_at(tmp_path / 'codes', texts)
    assert codes.pieces('<0_12><1_55>') == ['▁', '<0_12>', '<1_55>']


def test_a_name_is_split_alike_whatever_stands_around_it(trained):
    rng = np.random.default_rng(0)
    numbers = rng.integers(1, 100_000, 300)
    alone = [trained.encode(f'item_{number}') for number in numbers]
    comma = trained.encode(' ,')
    listed = trained.encode('What next ? ' + ' , '.join(f'item_{number}' for number in numbers))
    expected = [token for name in alone for token in [*name, *comma]][:-1]
    assert listed[-len(expected) :] == expected
    assert len({tuple(name) for name in alone}) == len(set(numbers))


@pytest.mark.parametrize(
    'naming',
    [RandomNumbers(), CollaborativeNames(clusters=3, largest_leaf=4), TitleNames(), CodeNames(CODES)],
)
def test_names_of_every_scheme_come_back_from_their_tokens(trained, naming):
    titles = [
        'Blue guitar, 4/4',
        'Blue guitar, 4/4',
        'Café “Noir” – 1½ l',
        *(f'Thing {n}' for n in range(21)),
    ]
    corpus = corpus_of([[n, n + 1, n + 2, n + 3] for n in range(20)], titles)
    names = naming.item_names(corpus, leave_last_out(corpus).train)
    found = [trained.decode(trained.encode(name)) for name in names]
    assert found == [trained.normalized(name) for name in names]
    assert len(set(found)) == len(names)


def test_special_and_extra_ids_are_those_of_t5(t5, trained):
    for vocabulary in (t5, trained):
        assert (vocabulary.pad_id, vocabulary.eos_id, vocabulary.unk_id) == (0, 1, 2)
        last = vocabulary.size - 1
        assert vocabulary.encode('<extra_id_0>') == [last]
        assert vocabulary.encode('<extra_id_99>') == [last - 99]
        assert vocabulary.decode([last]) == '<extra_id_0>'
    assert (t5.size, trained.size) == (32100, SIZE)


def test_seqio_reads_the_same_tokens_and_gives_the_same_text(t5, trained):
    texts = [
        'user_23 has bought item_7391 , item_12.\n4.5',
        'Café ☃ ½ 日本 \t {"a": 1} ~ \\ ﬁne ＡＢ',
        'a <extra_id_0> b<extra_id_1>, </s> <pad> <0x41> ▁x',
        '  ',
    ]
    for vocabulary in (t5, trained):
        twin = vocabulary.seqio()
        assert twin.vocab_size == vocabulary.size
        assert twin.extra_ids == vocabulary.extra_ids == 100
        for text in texts:
            tokens = vocabulary.encode(text)
            assert tokens == twin.encode(text)
            assert tokens == twin.encode_tf(text).numpy().tolist()
            padded = [*tokens, 1, 0, 0]
            assert vocabulary.decode(padded) == twin.decode(padded)


def test_decoding_ends_at_the_end_token_and_skips_padding(trained):
    tokens = trained.encode('user_23 has')
    assert trained.decode(np.asarray([0, *tokens, 0, 1, *tokens])) == 'user_23 has'
    assert trained.decode([trained.size + 5]) == trained.decode([2])
    assert trained.decode([]) == ''


@given(st.text(max_size=60))
def test_a_trained_vocabulary_gives_every_text_back_but_for_its_normalization(trained, text):
    tokens = trained.encode(text)
    assert 2 not in tokens
    assert trained.decode(tokens) == trained.normalized(text)


def test_normalization_joins_white_space_and_compatible_characters(trained):
    assert trained.normalized('  a\n\tb  ﬁ ½ ') == 'a b fi 1⁄2'


def test_words_begin_at_pieces_with_a_space(t5, trained):
    starts = t5.word_starts
    assert starts.shape == (32100,)
    assert starts[t5.encode('user_23 has bought item_7391')].tolist() == [1, 0, 0, 1, 1, 1, 0, 0, 0]
    assert not starts[[0, 1, 2, t5.size - 1, t5.size - 100]].any()
    # A word without a known letter begins with the space before its bytes.
    assert trained.word_starts[trained.encode('☃☃ item_7')].tolist() == [1, *[0] * 6, 1, 0]
    assert trained.word_starts.sum() == sum(
        trained._processor.id_to_piece(token).startswith('▁') for token in range(SIZE - 100)
    )


def test_the_same_texts_give_the_same_file(trained, texts, tmp_path):
    again = TrainedVocabulary(SIZE, symbols=['▁item_', '▁user_', '▁,']).train(
        iter(texts), tmp_path / 'again.model'
    )
    assert again.model == trained.model
    assert again.fingerprint == trained.fingerprint == hashlib.sha256(trained.model).hexdigest()
    assert again.fingerprint == hashlib.sha256((tmp_path / 'again.model').read_bytes()).hexdigest()


def test_digits_are_pieces_even_of_texts_without_any(tmp_path):
    texts = [text.translate(str.maketrans('', '', '0123456789')) for text in prompt_texts()]
    vocabulary = TrainedVocabulary(SIZE).train(texts, tmp_path / 'm')
    assert vocabulary.pieces('item_7391')[-2:] == ['73', '91']
    assert vocabulary.pieces('x7')[-1] == '7'


def test_long_texts_are_trained_on(tmp_path):
    long = ' '.join(prompt_texts(500)) + ' zyzzyva' * 50
    assert len(long) > 4192
    assert TrainedVocabulary(SIZE).train([long], tmp_path / 'm').pieces('zyzzyva') == ['▁zyzzyva']


def test_a_run_keeps_its_own_copy(trained, tmp_path):
    pathlib.Path(tmp_path / 'elsewhere').write_bytes(trained.model)
    source = T5Vocabulary(str(tmp_path / 'elsewhere'))
    made = source.make_at(tmp_path / 'run', iter(()))
    (tmp_path / 'elsewhere').unlink()
    assert made == source.load_at(tmp_path / 'run')
    assert made.path == str(tmp_path / 'run' / MODEL)
    assert pickle.loads(pickle.dumps(made)).encode('item_7') == trained.encode('item_7')


def test_a_bucket_is_read_without_tensorflow(trained, tmp_path, monkeypatch):
    (tmp_path / 'vocabs').mkdir()
    (tmp_path / 'vocabs' / 'a.model').write_bytes(trained.model)
    with BucketServer(tmp_path, 'shop') as server:
        monkeypatch.setenv('TENSORSTORE_GCS_HTTP_URL', server.address)
        found = T5Vocabulary('gs://shop/vocabs/a.model').make_at(tmp_path / 'run')
        assert found.fingerprint == trained.fingerprint
        with pytest.raises(FileNotFoundError, match='gs://shop/vocabs/b.model does not exist'):
            TextVocabulary.load('gs://shop/vocabs/b.model')


def test_no_tensorflow_is_imported(trained):
    code = (
        'import sys; from llmrec_jax.text.vocabulary_sources import TextVocabulary as V;'
        f'V.load({trained.path!r}).encode("item_1"); assert "tensorflow" not in sys.modules'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def _write(path, model):
    path.write_bytes(model)
    return path


def test_each_file_that_will_not_do_has_its_message(trained, texts, tmp_path):
    letters = sentencepiece_model(['only words here and there', 'no number at all'] * 40, 24)
    bytes_only = sentencepiece_model(
        ['only words here and there'] * 40, 300, byte_fallback=True, hard_vocab_limit=False
    )
    other = sentencepiece_model(texts, 300, pad_id=-1, eos_id=2, unk_id=0, bos_id=1)
    for model, message in (
        (letters, 'no piece for the digits 0 1 2 3 4 5 6 7 8 9'),
        (bytes_only, 'no piece for the digits 0 1 2 3 4 5 6 7 8 9'),
        (other, r'padding, end and unknown at the ids \(-1, 2, 0\)'),
        (b'', r'no SentencePiece model, or is damaged \(0 bytes\)'),
        (b'text, not a model', 'no SentencePiece model'),
        (trained.model[:3000], 'no SentencePiece model'),
    ):
        path = _write(tmp_path / 'bad.model', model)
        with pytest.raises(ValueError, match=message) as raised:
            T5Vocabulary(str(path)).make_at(tmp_path / 'run')
        assert str(path) in str(raised.value)
        assert not (tmp_path / 'run').exists()
    with pytest.raises(FileNotFoundError, match='absent.model does not exist'):
        TextVocabulary.load(tmp_path / 'absent.model')
    with pytest.raises(ValueError, match='extra_ids must not be negative'):
        TextVocabulary.load(trained.path, extra_ids=-1)


def test_a_size_that_does_not_fit_the_texts_has_its_message(texts, tmp_path):
    path = tmp_path / 'm'
    with pytest.raises(
        ValueError, match=r'size=32000 .* more than the texts give: .* set it to \d+ or less'
    ) as few:
        TrainedVocabulary(32000).train(texts[:200], path)
    most = int(str(few.value).split('set it to ')[1].split(' ')[0])
    with pytest.raises(ValueError, match=r'size=300 .* does not hold .* set it to \d+ or more'):
        TrainedVocabulary(300).train(texts, path)
    with pytest.raises(ValueError, match='no text'):
        TrainedVocabulary(SIZE).train(['', ' '], path)
    with pytest.raises(ValueError, match='digits_per_token must be 1, 2, 3 or None, not 4'):
        TrainedVocabulary(SIZE, digits_per_token=4)
    with pytest.raises(ValueError, match="cannot have ' item_': .* a space in it is written '▁'"):
        TrainedVocabulary(SIZE, symbols=(' item_',))
    with pytest.raises(ValueError, match='must be more than its extra_ids'):
        TrainedVocabulary(50)
    assert not path.exists()
    assert TrainedVocabulary(most).train(texts[:200], path).size == most


def test_a_file_that_changed_behind_seqio_is_told_of(texts, tmp_path):
    path = tmp_path / 'spiece.model'
    TrainedVocabulary(SIZE).train(texts, path).seqio()
    changed = TrainedVocabulary(SIZE - 10).train(texts, path)
    with pytest.raises(ValueError, match='changed after SeqIO had read it'):
        changed.seqio()


def test_a_model_with_its_extra_ids_is_the_same_vocabulary(tmp_path):
    plain = TrainedVocabulary(410, extra_ids=10).make_at(
        tmp_path, [f'the lamp number {n} is good' for n in range(60)]
    )
    (tmp_path / 'whole.model').write_bytes(plain.with_extra_ids)
    found = TextVocabulary.load_with_extra_ids(tmp_path / 'whole.model')
    assert (found.extra_ids, found.size, found.model) == (
        10,
        plain.size,
        plain.model_proto.SerializeToString(),
    )
    assert found.encode('lamp <extra_id_0> 7') == plain.encode('lamp <extra_id_0> 7')
