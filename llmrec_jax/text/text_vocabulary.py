"""A SentencePiece vocabulary as T5 uses one, without TensorFlow; and its twin for SeqIO."""

import dataclasses
import functools
import hashlib
import os
import string
from collections.abc import Iterable
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np
import sentencepiece
from google.protobuf.message import DecodeError
from jaxtyping import Bool
from sentencepiece import sentencepiece_model_pb2

from llmrec_jax.stored_files import read_file

if TYPE_CHECKING:
    import seqio

PAD, EOS, UNK = SPECIAL = (0, 1, 2)
# How SentencePiece writes the space before a word.
SPACE = '▁'


@dataclasses.dataclass(frozen=True)
class TextVocabulary:
    """Text to token ids and back.

    The extra ids stand behind the pieces of the file, `<extra_id_0>` last of all, as SeqIO and transformers
    number them; a text reads them where they are written as words of their own.

    Attributes:
      path: the SentencePiece model's file, local or `gs://`.
      model: its contents.
      extra_ids: tokens added to those of the file.
      needs_digits: whether a vocabulary that lacks a digit is refused.

    Raises:
      ValueError: when the file is no SentencePiece model, does not have padding, end and unknown at T5's ids
        0, 1 and 2, or lacks a digit that it needs.
    """

    path: str
    model: bytes = dataclasses.field(repr=False)
    extra_ids: int = 100
    needs_digits: bool = True

    pad_id = PAD
    eos_id = EOS
    unk_id = UNK

    def __post_init__(self):
        if self.extra_ids < 0:
            raise ValueError(f'{self.path}: extra_ids must not be negative, but is {self.extra_ids}')
        self._check_special()
        if self.needs_digits:
            self._check_digits()

    @classmethod
    def load(cls, path: str | os.PathLike, extra_ids: int = 100) -> 'TextVocabulary':
        """Reads a SentencePiece model.

        Args:
          path: its file, local or `gs://`.
          extra_ids: tokens to add; the public T5 vocabulary has 100 of them.

        Raises:
          FileNotFoundError: when there is no such file.
          OSError: when it cannot be read.
          ValueError: when it is no vocabulary as T5 needs one.
        """
        return cls(os.fspath(path), read_file(path), extra_ids)

    @classmethod
    def load_with_extra_ids(cls, path: str | os.PathLike) -> 'TextVocabulary':
        """Reads a model that holds its extra ids already, as `with_extra_ids` and SeqIO serialize them.

        Raises:
          FileNotFoundError, OSError, ValueError: as `load`.
        """
        # What was trained with a vocabulary without digits is asked with it.
        whole = cls(os.fspath(path), read_file(path), extra_ids=0, needs_digits=False)
        model = whole.model_proto
        count = 0
        while model.pieces and model.pieces[-1].piece == f'{SPACE}<extra_id_{count}>':
            model.pieces.pop()
            count += 1
        return cls(whole.path, model.SerializeToString(), count, needs_digits=False)

    @property
    def size(self) -> int:
        """Number of tokens, extra ids included."""
        return self._processor.get_piece_size()

    @functools.cached_property
    def fingerprint(self) -> str:
        """The sha256 of the model's file."""
        return hashlib.sha256(self.model).hexdigest()

    @functools.cached_property
    def word_starts(self) -> Bool[np.ndarray, 'size']:
        """Which tokens begin a word, by P5's rule: those whose piece begins with a space.

        Not among them are padding, end and unknown, the pieces of single bytes, and the extra ids, whose
        names have no space in P5's tokenizer. A word that is unknown or spelled in bytes begins with the
        piece of the space before it.
        """
        pieces = [self._processor.id_to_piece(token) for token in range(self.size - self.extra_ids)]
        begins = [piece.startswith(SPACE) for piece in pieces]
        return np.asarray(begins + [False] * self.extra_ids)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without an end token."""
        return self._processor.encode(text)

    def decode(self, ids: Iterable[SupportsIndex]) -> str:
        """The text of tokens up to the first end; padding is skipped, ids beyond the last are unknown."""
        tokens = []
        for token in map(int, ids):
            if token == EOS:
                break
            if token != PAD:
                tokens.append(token if token < self.size else UNK)
        return self._processor.decode(tokens)

    def pieces(self, text: str) -> list[str]:
        """How a text is split, '▁' for the space before a word."""
        return self._processor.encode(text, out_type=str)

    def normalized(self, text: str) -> str:
        """What encoding keeps of a text: compatible characters are one, and white space is one space."""
        return self._processor.normalize(text).replace(SPACE, ' ').removeprefix(' ')

    def seqio(self) -> 'seqio.SentencePieceVocabulary':
        """The same vocabulary for SeqIO, which reads the file itself; imports SeqIO, and with it TensorFlow.

        Raises:
          ValueError: when SeqIO holds another model, because this process has read `path` before it changed.
        """
        import seqio

        twin = seqio.SentencePieceVocabulary(self.path, extra_ids=self.extra_ids)
        if twin.sp_model != self.with_extra_ids:
            raise ValueError(
                f'{self.path} was changed after SeqIO had read it in this process, and SeqIO keeps what it '
                'read: start a new process, or write the vocabulary somewhere else'
            )
        return twin

    @property
    def model_proto(self) -> sentencepiece_model_pb2.ModelProto:
        """What the file says, without extra ids."""
        try:
            model = sentencepiece_model_pb2.ModelProto.FromString(self.model)
        except DecodeError as error:
            raise ValueError(self._no_model()) from error
        if not model.pieces:
            raise ValueError(self._no_model())
        return model

    @functools.cached_property
    def with_extra_ids(self) -> bytes:
        """The model with its extra ids, serialized as SeqIO does it, so that the two can be compared."""
        model = self.model_proto
        for number in reversed(range(self.extra_ids)):
            model.pieces.add(
                piece=f'{SPACE}<extra_id_{number}>',
                score=0.0,
                type=sentencepiece_model_pb2.ModelProto.SentencePiece.USER_DEFINED,
            )
        return model.SerializeToString()

    @functools.cached_property
    def _processor(self) -> sentencepiece.SentencePieceProcessor:
        processor = sentencepiece.SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(self.with_extra_ids)
        except RuntimeError as error:
            raise ValueError(self._no_model()) from error
        return processor

    def _no_model(self) -> str:
        return (
            f'{self.path} is no SentencePiece model, or is damaged ({len(self.model)} bytes): copy it again, '
            'or name another file'
        )

    def _check_special(self) -> None:
        processor = self._processor
        found = (processor.pad_id(), processor.eos_id(), processor.unk_id())
        if found != SPECIAL:
            raise ValueError(
                f'{self.path} has padding, end and unknown at the ids {found} (-1: none), but T5 needs '
                f'them at {SPECIAL}: train it with pad_id=0, eos_id=1, unk_id=2, bos_id=-1'
            )

    def _check_digits(self) -> None:
        processor = self._processor
        lacking = [
            digit
            for digit in string.digits
            if any(processor.is_unknown(token) or processor.is_byte(token) for token in self.encode(digit))
        ]
        if lacking:
            raise ValueError(
                f'{self.path} has no piece for the digits {" ".join(lacking)}, so that names such as '
                "'item_7391' and ratings would be unknown tokens: take a vocabulary with digits, such as "
                "T5's, or train one with TrainedVocabulary"
            )

    def __getstate__(self) -> dict:
        """A processor is made again from the model."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
