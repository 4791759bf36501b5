"""The public vocabulary gives the tokens of transformers' T5 tokenizer."""

import shutil

import pytest

from llmrec_jax.text.text_vocabulary import TextVocabulary
from tests.shared_data import shared_data

pytestmark = pytest.mark.parity

TEXTS = (
    'user_23 has bought item_7391 , item_12.\n4.5',
    'Café ☃ ½ 日本 ',
    'a <extra_id_0> b <extra_id_99> c',
    '<0_12><1_55> {~} \\',
    '  x  y ',
)


def test_tokens_extra_ids_and_texts_are_those_of_transformers(tmp_path):
    transformers = pytest.importorskip('transformers')
    shutil.copy(shared_data('t5-vocab') / 'spiece.model', tmp_path)
    theirs = transformers.T5Tokenizer.from_pretrained(str(tmp_path), extra_ids=100)
    ours = TextVocabulary.load(tmp_path / 'spiece.model')
    assert ours.size == len(theirs)
    for text in TEXTS:
        tokens = ours.encode(text)
        assert [*tokens, ours.eos_id] == theirs(text).input_ids
        # P5 numbers words by the names of tokens.
        begins = [piece.startswith('▁') for piece in theirs.convert_ids_to_tokens(tokens)]
        assert ours.word_starts[tokens].tolist() == begins
