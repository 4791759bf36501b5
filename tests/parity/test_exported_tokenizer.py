"""transformers' AutoTokenizer gives the ids of vocabularies that were trained here."""

import pytest

from llmrec_jax.models.hf_weights import write_hf
from llmrec_jax.text.hf_tokenizer import sample_texts, tokenizer_files
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from tests.small_t5 import GATED, random_params, readers
from tests.text.vocabularies import prompt_texts, sentencepiece_model

pytestmark = pytest.mark.parity


def bpe(folder):
    source = TrainedVocabulary(1200, extra_ids=20, symbols=('▁item_', '▁user_', '▁,'))
    return source.train(prompt_texts(), folder / 'words.model')


def unigram(folder):
    return TextVocabulary(str(folder / 'words.model'), sentencepiece_model(prompt_texts(), 400))


@pytest.mark.parametrize('make', [bpe, unigram])
def test_an_exported_folder_is_tokenized_for_as_it_was_trained(tmp_path, make):
    transformers = pytest.importorskip('transformers')
    vocabulary = make(tmp_path)
    write_hf(tmp_path / 'hf', GATED, readers(random_params()), beside=tokenizer_files(vocabulary))
    read = transformers.AutoTokenizer.from_pretrained(tmp_path / 'hf')
    assert len(read) == vocabulary.size
    assert (read.pad_token_id, read.eos_token_id, read.unk_token_id) == (0, 1, 2)
    for text in [*sample_texts(vocabulary), *prompt_texts(200, seed=3)]:
        assert read(text).input_ids == [*vocabulary.encode(text), 1], text
    text = 'user_23 has bought item_7391 , item_12 .'
    assert read.decode(read(text).input_ids, skip_special_tokens=True) == text
    extra = vocabulary.extra_ids
    assert read.convert_tokens_to_ids(f'<extra_id_{extra - 1}>') == vocabulary.size - extra
