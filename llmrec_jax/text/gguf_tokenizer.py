"""The tokenizer inside a GGUF file, as Hugging Face's `tokenizer.json` and its configuration.

A GGUF file names how texts are cut before byte-pair encoding and leaves the pattern to whoever reads it
(`tokenizer.ggml.pre`); the patterns are llama.cpp's.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors

from llmrec_jax.text.tokenizer_files import TokenizerFiles

if TYPE_CHECKING:
    import gguf

# Kinds of tokens in a GGUF file.
CONTROL, USER_DEFINED = 3, 4

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_SIGNS_AND_SPACES = r'| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+'
LLAMA_3 = _WORDS + r'\p{N}{1,3}' + _SIGNS_AND_SPACES
QWEN_2 = _WORDS + r'\p{N}' + _SIGNS_AND_SPACES


def gguf_tokenizer(path: str | os.PathLike, reader: 'gguf.GGUFReader') -> TokenizerFiles:
    """What a GGUF file says of its tokenizer.

    Args:
      path: the file's, for messages.
      reader: what `open_gguf` gave.

    Raises:
      ValueError: the file has no tokenizer, or one that is told in a way that is not known here.
    """
    told = {
        name.removeprefix('tokenizer.').removeprefix('ggml.'): field.contents()
        for name, field in reader.fields.items()
        if name.startswith('tokenizer.')
    }
    kind = told.get('model')
    if kind != 'gpt2':
        raise ValueError(
            f"{path}: tokenizer.ggml.model is {kind!r}, but only 'gpt2', byte-pair encoding of bytes, is "
            'read from GGUF files: name a folder that holds the tokenizer.json of the same model'
        )
    tokens: Sequence[str] = told['tokens']
    special = {
        role: tokens[told[f'{key}_token_id']]
        for role, key in (('bos', 'bos'), ('eos', 'eos'), ('unk', 'unknown'), ('pad', 'padding'))
        if f'{key}_token_id' in told
    }
    tokenizer = _byte_level(path, told, tokens)
    if told.get('add_bos_token') and 'bos' in special:
        bos = special['bos']
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f'{bos} $A', pair=f'{bos} $A $B', special_tokens=[(bos, told['bos_token_id'])]
        )
    config = {
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'clean_up_tokenization_spaces': False,
        **{f'{role}_token': token for role, token in special.items()},
    }
    if 'chat_template' in told:
        config['chat_template'] = told['chat_template']
    return TokenizerFiles(tokenizer.to_str().encode(), config)


def _byte_level(
    path: str | os.PathLike, told: Mapping[str, Any], tokens: Sequence[str]
) -> tokenizers.Tokenizer:
    pre = told.get('pre')
    if pre not in _SPLITS:
        raise ValueError(
            f'{path}: tokenizer.ggml.pre is {pre!r}, a way to cut texts that is not known here (known are '
            f'{", ".join(map(repr, _SPLITS))}): name a folder that holds the tokenizer.json of the same model'
        )
    split, normalizer = _SPLITS[pre]
    tokenizer = tokenizers.Tokenizer(
        models.BPE(
            vocab={token: index for index, token in enumerate(tokens)},
            merges=[tuple(merge.split(' ')) for merge in told['merges']],
            # LLaMA 3 looks a whole word up before it merges.
            ignore_merges=split == LLAMA_3,
        )
    )
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    first = (
        pre_tokenizers.Digits(individual_digits=True)
        if split is None
        else pre_tokenizers.Split(Regex(split), 'isolated')
    )
    bytes_of_words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, bytes_of_words])
    tokenizer.decoder = decoders.ByteLevel()
    kinds = told.get('token_type', ())
    for kind, add in (
        (CONTROL, tokenizer.add_special_tokens),
        (USER_DEFINED, tokenizer.add_tokens),
    ):
        add(
            [
                tokenizers.AddedToken(token, special=kind == CONTROL, normalized=False)
                for token, of_kind in zip(tokens, kinds)
                if of_kind == kind
            ]
        )
    return tokenizer


# Name of a cut to its pattern, None for single digits and GPT-2's, and what is normalized before.
_SPLITS: Mapping[str, tuple[str | None, Any]] = {
    'smollm': (None, None),
    **dict.fromkeys(('llama-bpe', 'llama-v3', 'llama3'), (LLAMA_3, None)),
    **dict.fromkeys(('qwen2', 'deepseek-r1-qwen'), (QWEN_2, normalizers.NFC())),
}
