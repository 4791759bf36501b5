"""Where a run's vocabulary comes from: trained on the run's own texts, or a public one."""

import dataclasses
import io
import itertools
import os
import pathlib
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import sentencepiece

from llmrec_jax.files import write_bytes
from llmrec_jax.text.text_vocabulary import EOS, PAD, SPACE, UNK, TextVocabulary

# The name of the model in a run's folder.
MODEL = 'spiece.model'
# What SentencePiece says of a size that does not fit the texts.
TOO_MANY = re.compile(r'Vocabulary size too high \(\d+\)\. Please set it to a value <= (\d+)')
TOO_FEW = re.compile(r'Vocabulary size is smaller than required_chars\. \d+ vs (\d+)')
# Longer texts than this are dropped without a word by default; 16 MiB is longer than any prompt.
LONGEST_TEXT = 1 << 24


@runtime_checkable
class VocabularySource(Protocol):
    """How a run gets its vocabulary.

    Attributes:
      extra_ids: tokens added to those of the SentencePiece model.
    """

    extra_ids: int

    def make_at(self, folder: str | os.PathLike, texts: Iterable[str]) -> TextVocabulary:
        """Puts the SentencePiece model into `folder`; `texts` are read only where it is trained on them."""
        ...

    def load_at(self, folder: str | os.PathLike) -> TextVocabulary:
        """The vocabulary that `make_at` put there."""
        ...


@dataclasses.dataclass(frozen=True)
class T5Vocabulary:
    """A vocabulary that exists already, such as the public one of T5.

    Attributes:
      path: the SentencePiece model's file, local or `gs://`. That of T5 1.0, T5 1.1 and Flan-T5 is
        `gs://t5-data/vocabs/cc_all.32000/sentencepiece.model`.
      extra_ids: tokens added to those of the file; 100 for T5's.
    """

    path: str
    extra_ids: int = 100

    def make_at(self, folder: str | os.PathLike, texts: Iterable[str] = ()) -> TextVocabulary:
        """Copies the file into `folder`, so that a run is whole without the place it came from.

        Raises:
          OSError, ValueError: as `TextVocabulary.load`; nothing is then written.
        """
        del texts
        vocabulary = TextVocabulary.load(self.path, self.extra_ids)
        write_bytes(pathlib.Path(folder, MODEL), vocabulary.model)
        return self.load_at(folder)

    def load_at(self, folder: str | os.PathLike) -> TextVocabulary:
        """The copy in `folder`; raises as `TextVocabulary.load`."""
        return TextVocabulary.load(pathlib.Path(folder, MODEL), self.extra_ids)


@dataclasses.dataclass(frozen=True)
class TrainedVocabulary:
    """A SentencePiece vocabulary of a run's own texts, by byte-pair encoding (arXiv 1508.07909).

    A word is split alike whatever stands around it, and so is a name. (T5's own vocabulary is a unigram
    model, of which that cannot be said: where two splits are all but as likely, the context decides.)

    Nothing is an unknown token: what the texts lack is spelled in bytes, so that decoding gives back any text
    but for its normalization (`TextVocabulary.normalized`). The same texts give the same file.

    Attributes:
      size: tokens in all: pieces, the 256 bytes, padding, end and unknown, groups of digits, symbols and
        extra ids. It is what `T5Config.vocab_size` must hold.
      extra_ids: how many of them are extra ids.
      digits_per_token: into groups of how many digits a number is split from its left, each a token: by 2,
        'item_7391' ends in '73', '91' and 'item_739' in '73', '9'. Numbers of no text are known too, and 100
        candidates fit a prompt of 512 tokens; 1 takes fewer tokens of the vocabulary, 3 a thousand more.
        None for none: letters, digits and signs may share a token, so that a name that comes often enough,
        such as 'item_73', is one, to be learned by heart.
      symbols: texts that are one token wherever they stand, with '▁' for a space, e.g. the beginning of names
        and what lists are joined by: ('▁item_', '▁user_', '▁,').

    Raises:
      ValueError: when a size, the digits of a token or a symbol is none that can be had.
    """

    size: int
    extra_ids: int = 100
    digits_per_token: int | None = 2
    symbols: Sequence[str] = ()

    def __post_init__(self):
        # A tuple is hashable; gin hands over lists.
        object.__setattr__(self, 'symbols', tuple(self.symbols))
        if not 0 <= self.extra_ids < self.size:
            raise ValueError(
                f'TrainedVocabulary.size={self.size} must be more than its extra_ids={self.extra_ids}'
            )
        if self.digits_per_token not in (None, 1, 2, 3):
            raise ValueError(
                f'TrainedVocabulary.digits_per_token must be 1, 2, 3 or None, not {self.digits_per_token}'
            )
        unfit = [symbol for symbol in self.symbols if not symbol or any(map(str.isspace, symbol))]
        if unfit:
            raise ValueError(
                f'TrainedVocabulary.symbols cannot have {unfit[0]!r}: a symbol is not empty, and a space in '
                f'it is written {SPACE!r}'
            )

    def train(self, texts: Iterable[str], path: str | os.PathLike) -> TextVocabulary:
        """Trains on `texts` and writes the model to `path`.

        Raises:
          ValueError: when the texts are too few for the size, or the size too small for their characters.
        """
        write_bytes(path, self._model(texts))
        return TextVocabulary.load(path, self.extra_ids)

    def make_at(self, folder: str | os.PathLike, texts: Iterable[str]) -> TextVocabulary:
        """Trains on `texts` and writes the model into `folder`; raises as `train`."""
        return self.train(texts, pathlib.Path(folder, MODEL))

    def load_at(self, folder: str | os.PathLike) -> TextVocabulary:
        """The vocabulary that `make_at` trained; raises as `TextVocabulary.load`."""
        return TextVocabulary.load(pathlib.Path(folder, MODEL), self.extra_ids)

    def _model(self, texts: Iterable[str]) -> bytes:
        written = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_some(texts),
                model_writer=written,
                model_type='bpe',
                vocab_size=self.size - self.extra_ids,
                pad_id=PAD,
                eos_id=EOS,
                unk_id=UNK,
                bos_id=-1,
                byte_fallback=True,
                split_digits=self.digits_per_token is not None,
                split_by_number=self.digits_per_token is not None,
                split_by_unicode_script=self.digits_per_token is not None,
                required_chars=string.digits,
                user_defined_symbols=[*self.symbols, *self._groups()],
                max_sentence_length=LONGEST_TEXT,
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise ValueError(self._what_does_not_fit(str(error))) from error
        return written.getvalue()

    def _groups(self) -> list[str]:
        sizes = range(2, (self.digits_per_token or 1) + 1)
        return [f'{number:0{digits}}' for digits in sizes for number in range(10**digits)]

    def _what_does_not_fit(self, message: str) -> str:
        called = f'TrainedVocabulary.size={self.size} ({self.extra_ids} of them extra ids)'
        if most := TOO_MANY.search(message):
            most = int(most[1]) + self.extra_ids
            return f'{called} is more than the texts give: give more texts, or set it to {most} or less'
        if least := TOO_FEW.search(message):
            least = int(least[1]) + self.extra_ids
            return f'{called} does not hold the bytes and characters of the texts: set it to {least} or more'
        return f'SentencePiece cannot be trained on the texts with {called}: {message}'


def _some(texts: Iterable[str]) -> Iterator[str]:
    """The texts.

    Raises:
      ValueError: when there are none.
    """
    texts = (text for text in texts if text.strip())
    first = next(texts, None)
    if first is None:
        raise ValueError('a vocabulary cannot be trained on no text: the texts are absent or all empty')
    return itertools.chain([first], texts)
