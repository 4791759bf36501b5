import pickle

import numpy as np
import seqio
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.semantic_ids.vocabulary import SemanticIdVocabulary

LAYOUT = TokenLayout((4, 3, 2), user_tokens=5, multiple_of=16)
VOCABULARY = SemanticIdVocabulary(LAYOUT)
ids = st.lists(st.integers(-2, LAYOUT.vocab_size + 3), max_size=8)
words = st.one_of(st.sampled_from(LAYOUT.token_texts()), st.text('<>_019 é\tx', max_size=5))


def test_text_form():
    text = '<user_4> <0_3> <1_0> <2_1>'
    tokens = VOCABULARY.encode(text)
    assert tokens == [LAYOUT.user_offset + 4, *LAYOUT.item_tokens(np.array([3, 0, 1])).tolist()]
    assert VOCABULARY.decode(tokens) == text


def test_unknown_tokens_padding_and_end():
    assert VOCABULARY.encode('<0_4> <3_0> hello <user_5> <0_0>') == [2, 2, 2, 2, 3]
    assert VOCABULARY.decode([0, 3, 999, -1, 1, 4, 0]) == '<0_0> <unk> <unk>'
    assert VOCABULARY.encode('') == []
    assert VOCABULARY.decode([]) == ''


def test_sizes():
    assert VOCABULARY.vocab_size == LAYOUT.vocab_size == 32
    assert (VOCABULARY.pad_id, VOCABULARY.eos_id, VOCABULARY.unk_id) == (0, 1, 2)


@settings(deadline=None, max_examples=60)
@given(st.lists(words, max_size=6).map(' '.join))
def test_python_and_tensorflow_encode_alike(text):
    encoded = VOCABULARY.encode_tf(tf.constant(text))
    assert encoded.dtype == tf.int32
    assert encoded.numpy().tolist() == VOCABULARY.encode(text)


@settings(deadline=None, max_examples=60)
@given(ids)
def test_python_and_tensorflow_decode_alike(tokens):
    assert VOCABULARY.decode_tf(tf.constant(tokens, tf.int32)).numpy().decode() == VOCABULARY.decode(tokens)


@given(st.lists(st.integers(2, LAYOUT.n_tokens - 1), max_size=8))
def test_meaningful_tokens_survive_the_round_trip(tokens):
    assert VOCABULARY.encode(VOCABULARY.decode(tokens)) == tokens


def test_batches_and_datasets():
    batch = [[3, 7, 0], [4, 1, 5]]
    decoded = VOCABULARY.decode_tf(tf.constant(batch)).numpy()
    assert [text.decode() for text in decoded] == [VOCABULARY.decode(row) for row in batch]
    fresh = SemanticIdVocabulary(LAYOUT)
    for _ in range(2):
        dataset = tf.data.Dataset.from_tensor_slices(['<0_1> <1_1>', 'x']).map(fresh.encode_tf)
        assert [row.tolist() for row in dataset.as_numpy_iterator()] == [[4, 8], [2]]


def test_equality_and_pickling():
    assert pickle.loads(pickle.dumps(VOCABULARY)).encode('<0_1>') == [4]
    assert SemanticIdVocabulary(LAYOUT) == VOCABULARY
    assert SemanticIdVocabulary(TokenLayout((4, 3, 2))) != VOCABULARY
    seqio.Feature(vocabulary=VOCABULARY, add_eos=False)
