"""Texts to word pieces, with the tokenizer that lies beside the weights."""

import pathlib
from collections.abc import Sequence

import tokenizers
from tokenizers.implementations import BaseTokenizer

from llmrec_jax.text.minilm.weights import existing, read_json

WordPieces = tokenizers.Tokenizer | BaseTokenizer
TOKENIZER = 'tokenizer.json'
VOCABULARY = 'vocab.txt'
TOKENIZER_CONFIG = 'tokenizer_config.json'


def tokenizer_file(directory: pathlib.Path) -> pathlib.Path:
    """`tokenizer.json`, or `vocab.txt` where there is none.

    Raises:
      FileNotFoundError: there is neither.
    """
    path = directory / TOKENIZER
    return path if path.is_file() else existing(directory / VOCABULARY)


def read_tokenizer(directory: pathlib.Path) -> WordPieces:
    """The tokenizer, told neither to pad nor to cut, whatever its file says.

    Raises:
      FileNotFoundError: see `tokenizer_file`.
      ValueError: the file is damaged.
    """
    path = tokenizer_file(directory)
    try:
        if path.name == TOKENIZER:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
        else:
            config = directory / TOKENIZER_CONFIG
            lower_case = read_json(config).get('do_lower_case', True) if config.is_file() else True
            tokenizer = tokenizers.BertWordPieceTokenizer(str(path), lowercase=lower_case)
    # The library raises bare exceptions.
    except Exception as error:
        raise ValueError(f'{path} is no tokenizer file ({error})') from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def word_pieces(tokenizer: WordPieces, texts: Sequence[str], limit: int) -> tuple[list[list[int]], int]:
    """The ids of each text's pieces between [CLS] and [SEP], `limit` at most; and how many texts were cut."""
    pieces = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    cut = sum(len(ids) > limit for ids in pieces)
    return [ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]] for ids in pieces], cut
