"""A decoder's tokenizer for SeqIO; importing it imports TensorFlow."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import seqio
import tensorflow as tf

if TYPE_CHECKING:
    from llmrec_jax.text.tokenizer_vocabulary import TokenizerVocabulary


class SeqioTokenizer(seqio.Vocabulary):
    """The twin of a `TokenizerVocabulary`; its padding is 0 by SeqIO's convention, behind the last token.

    The tokenizer runs in Python, one text at a time: a graph that holds it stays in its process.
    """

    def __init__(self, vocabulary: 'TokenizerVocabulary'):
        super().__init__()
        self.vocabulary = vocabulary

    @property
    def bos_id(self) -> int | None:
        """See `TokenizerVocabulary.bos_id`."""
        return self.vocabulary.bos_id

    @property
    def eos_id(self) -> int:
        """See `TokenizerVocabulary.eos_id`."""
        return self.vocabulary.eos_id

    @property
    def unk_id(self) -> int | None:
        """None: a decoder's ids are not replaced, and none that is beyond the last is decoded."""
        return None

    @property
    def _base_vocab_size(self) -> int:
        return self.vocabulary.size

    def _encode(self, s: str) -> Sequence[int]:
        return self.vocabulary.encode(s)

    def _decode(self, ids: Iterable[int]) -> str:
        return self.vocabulary.decode(ids)

    def _encode_tf(self, s: tf.Tensor) -> tf.Tensor:
        def encode(text: bytes) -> np.ndarray:
            return np.asarray(self.vocabulary.encode(text.decode()), np.int32)

        tokens = tf.numpy_function(encode, [s], tf.int32, stateful=False)
        tokens.set_shape([None])
        return tokens

    def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
        def decode(rows: np.ndarray) -> np.ndarray:
            texts = [self.vocabulary.decode(row).encode() for row in rows.reshape(-1, rows.shape[-1])]
            return np.asarray(texts, object).reshape(rows.shape[:-1])

        texts = tf.numpy_function(decode, [ids], tf.string, stateful=False)
        texts.set_shape(ids.shape[:-1])
        return texts

    def __eq__(self, other: object) -> bool:
        same_kind = isinstance(other, SeqioTokenizer)
        return same_kind and self.vocabulary.fingerprint == other.vocabulary.fingerprint

    def __hash__(self) -> int:
        return hash(self.vocabulary.fingerprint)
