"""Semantic IDs as a SeqIO vocabulary; the one module of this room that needs TensorFlow."""

import functools
from collections.abc import Sequence
from typing import SupportsIndex

import seqio
import tensorflow as tf

from llmrec_jax.semantic_ids.token_layout import EOS, PAD, UNK, TokenLayout


class SemanticIdVocabulary(seqio.Vocabulary):
    """Text of the form '<user_17> <0_12> <1_55> <2_8> <3_0>' to the token ids of a layout, and back.

    Tokens are separated by spaces; a token that the layout does not have becomes unknown. Decoding leaves
    padding and the end token out, and writes ids outside the layout as '<unk>'.

    Args:
      layout: which token stands where.
    """

    def __init__(self, layout: TokenLayout):
        super().__init__(extra_ids=0)
        self.layout = layout

    @property
    def eos_id(self) -> int:
        """The end token; TIGER's features do not use it (`seqio.Feature(add_eos=False)`)."""
        return EOS

    @property
    def unk_id(self) -> int:
        """The token of a text that names no token."""
        return UNK

    @property
    def _base_vocab_size(self) -> int:
        return self.layout.vocab_size

    def _encode(self, s: str) -> list[int]:
        return [self._ids.get(token, UNK) for token in s.split(' ') if token]

    def _decode(self, ids: Sequence[SupportsIndex]) -> str:
        texts = self._texts
        return ' '.join(
            texts[token] if 0 <= token < len(texts) else texts[UNK]
            for token in ids
            if token not in (PAD, EOS)
        )

    def _encode_tf(self, s: tf.Tensor | str) -> tf.Tensor:
        tokens = tf.strings.split(s, ' ')
        return self._tf_ids.lookup(tf.boolean_mask(tokens, tokens != ''))

    def _decode_tf(self, ids: tf.Tensor | Sequence[int]) -> tf.Tensor:
        ids = tf.cast(ids, tf.int32)
        written = tf.ragged.boolean_mask(ids, (ids != PAD) & (ids != EOS))
        known = (written >= 0) & (written < self.layout.n_tokens)
        texts = tf.gather(self._tf_texts, tf.where(known, written, UNK))
        return tf.strings.reduce_join(texts, axis=-1, separator=' ')

    @functools.cached_property
    def _texts(self) -> list[str]:
        return self.layout.token_texts()

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {text: token for token, text in enumerate(self._texts)}

    # init_scope: the first use may be inside a tf.data function, whose graph would own the tables and die.
    @functools.cached_property
    def _tf_ids(self) -> tf.lookup.StaticHashTable:
        with tf.init_scope():
            entries = tf.lookup.KeyValueTensorInitializer(
                tf.constant(self._texts), tf.range(len(self._texts), dtype=tf.int32)
            )
            return tf.lookup.StaticHashTable(entries, default_value=UNK)

    @functools.cached_property
    def _tf_texts(self) -> tf.Tensor:
        with tf.init_scope():
            return tf.constant(self._texts)

    def __getstate__(self) -> dict:
        """Tables of a TensorFlow session do not pickle; they are made again from the layout."""
        return {'_extra_ids': 0, 'layout': self.layout}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SemanticIdVocabulary) and self.layout == other.layout

    def __hash__(self) -> int:
        return hash(self.layout)

    def __str__(self) -> str:
        return f'SemanticIdVocabulary({self.layout})'
