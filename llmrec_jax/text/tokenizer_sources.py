"""Where a decoder's tokenizer comes from: the folder of a model, a GGUF file, or a run's own texts."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable
from typing import ClassVar, Protocol, runtime_checkable

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from llmrec_jax.text.gguf_file import open_gguf
from llmrec_jax.text.gguf_tokenizer import gguf_tokenizer
from llmrec_jax.text.tokenizer_files import TokenizerFiles, read_tokenizer_files
from llmrec_jax.text.tokenizer_vocabulary import TokenizerVocabulary


@runtime_checkable
class TokenizerSource(Protocol):
    """How a run gets its decoder's tokenizer; a frozen dataclass."""

    def make_at(self, folder: str | os.PathLike, texts: Iterable[str]) -> TokenizerVocabulary:
        """Puts the tokenizer into `folder`; `texts` are read only where it is trained on them."""
        ...

    def load_at(self, folder: str | os.PathLike) -> TokenizerVocabulary:
        """The tokenizer that `make_at` put there."""
        ...


@dataclasses.dataclass(frozen=True)
class ModelTokenizer:
    """The tokenizer that came with a model's weights; a `VocabularySource`.

    Attributes:
      path: a GGUF file, or a folder, local or `gs://`, that holds `tokenizer.json` and
        `tokenizer_config.json`.
    """

    path: str | os.PathLike
    extra_ids: ClassVar[int] = 0

    def read(self) -> TokenizerVocabulary:
        """The tokenizer where it lies.

        Raises:
          FileNotFoundError, OSError, RuntimeError, ValueError: as `open_gguf`, `gguf_tokenizer` and
            `TokenizerVocabulary.load`.
        """
        path = os.fspath(self.path)
        return TokenizerVocabulary(path, _files(path))

    def make_at(self, folder: str | os.PathLike, texts: Iterable[str] = ()) -> TokenizerVocabulary:
        """Puts the tokenizer into `folder`, so that a run is whole without the place it came from.

        Raises:
          FileNotFoundError, OSError, RuntimeError, ValueError: as `read`; nothing is then written.
        """
        del texts
        self.read().files.write(folder)
        return self.load_at(folder)

    def load_at(self, folder: str | os.PathLike) -> TokenizerVocabulary:
        """The copy in `folder`; raises as `TokenizerVocabulary.load`."""
        return TokenizerVocabulary.load(folder)


@dataclasses.dataclass(frozen=True)
class TrainedTokenizer:
    """Byte-pair encoding of bytes, trained on a run's own texts: nothing is unknown; a `VocabularySource`.

    Attributes:
      size: tokens in all: padding, begin and end, the 256 bytes, and what is merged of them. Fewer texts give
        fewer tokens.
      single_digits: whether each digit is a token of its own.

    Raises:
      ValueError: when the size does not hold the bytes.
    """

    size: int
    single_digits: bool = True
    extra_ids: ClassVar[int] = 0

    def __post_init__(self):
        least = len(_SPECIAL) + len(pre_tokenizers.ByteLevel.alphabet())
        if self.size < least:
            raise ValueError(f'TrainedTokenizer.size={self.size} must be at least {least}')

    def make_at(self, folder: str | os.PathLike, texts: Iterable[str]) -> TokenizerVocabulary:
        """Trains on `texts`, and puts the tokenizer into `folder`."""
        tokenizer = tokenizers.Tokenizer(models.BPE())
        digits = [pre_tokenizers.Digits(individual_digits=True)] if self.single_digits else []
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [*digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.size,
            special_tokens=list(_SPECIAL.values()),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        config = {'tokenizer_class': 'PreTrainedTokenizerFast', 'clean_up_tokenization_spaces': False}
        TokenizerFiles(tokenizer.to_str().encode(), {**config, **_SPECIAL}).write(folder)
        return self.load_at(folder)

    def load_at(self, folder: str | os.PathLike) -> TokenizerVocabulary:
        """The tokenizer that `make_at` trained; raises as `TokenizerVocabulary.load`."""
        return TokenizerVocabulary.load(folder)


# The first has the id of padding.
_SPECIAL = {'pad_token': '<pad>', 'bos_token': '<s>', 'eos_token': '</s>'}


def _files(path: str) -> TokenizerFiles:
    if pathlib.PurePath(path).suffix == '.gguf':
        return gguf_tokenizer(path, open_gguf(path))
    return read_tokenizer_files(path)
