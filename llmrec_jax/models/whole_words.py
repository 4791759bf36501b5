"""Whole-word indices: which word of the input a token is of (P5, Geng et al., 2022, section 4.2).

An id such as 'item_7391' is split into pieces; an embedding of the word's number, added to those of the
pieces, tells the encoder that they belong together.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Int, Int32, Integer

from llmrec_jax.text.text_vocabulary import EOS, PAD, TextVocabulary

WHOLE_WORD_IDS = 'encoder_whole_word_ids'


def whole_word_ids(
    tokens: Integer[np.ndarray, 'batch length'],
    word_starts: Bool[np.ndarray, 'vocab'],
    rows: int,
    positions: Integer[np.ndarray, 'batch length'] | None = None,
) -> Int32[np.ndarray, 'batch length']:
    """The running number of each token's word.

    The first word has number 1; pieces before it, end tokens and padding have 0, as in P5's code. Words
    beyond the last row of the table share it.

    Args:
      tokens: what the encoder reads.
      word_starts: which tokens begin a word, as `TextVocabulary.word_starts`.
      rows: of the table of embeddings.
      positions: of packed rows, each token's position in its example: every example counts from the start.
    """
    begins = word_starts[tokens].astype(np.int32)
    numbers = np.cumsum(begins, axis=-1, dtype=np.int32)
    if positions is not None:
        first = np.arange(tokens.shape[-1]) - positions
        numbers = numbers - np.take_along_axis(numbers - begins, first, axis=-1)
    in_a_word = (tokens != PAD) & (tokens != EOS)
    return np.where(in_a_word, np.minimum(numbers, rows - 1), 0).astype(np.int32)


@dataclasses.dataclass(frozen=True)
class WholeWords:
    """Where words begin, and when the encoder is told.

    Attributes:
      vocabulary: the SentencePiece model's file, local or `gs://`; None until a recipe has made it.
      omitted_at_inference: whether the embedding is left out of generation and scoring, as in P5's published
        code. (There the loss on validation leaves it out too; here it does not, so that one and the same
        trained network can be evaluated both ways.)
    """

    vocabulary: str | None = None
    omitted_at_inference: bool = False

    def ids(
        self,
        tokens: Int[np.ndarray, 'batch length'],
        vocab_size: int,
        rows: int,
        positions: Int[np.ndarray, 'batch length'] | None = None,
    ) -> Int32[np.ndarray, 'batch length']:
        """`whole_word_ids` by the vocabulary; padding alone needs none, so shapes are known before it is.

        Raises:
          OSError, ValueError: as `word_starts`.
        """
        if not tokens.any():
            return np.zeros(tokens.shape, np.int32)
        return whole_word_ids(tokens, self.word_starts(vocab_size), rows, positions)

    def word_starts(self, vocab_size: int) -> Bool[np.ndarray, 'vocab']:
        """Which of the network's `vocab_size` tokens begin a word: extra ids and unused ones do not.

        Raises:
          OSError: when the vocabulary cannot be read.
          ValueError: when there is no vocabulary, or the network has no room for its pieces.
        """
        pieces = self._word_starts
        if len(pieces) > vocab_size:
            raise ValueError(
                f'{self.vocabulary} has {len(pieces)} pieces, but the network has room for {vocab_size}: '
                'raise T5Config.vocab_size'
            )
        return np.pad(pieces, (0, vocab_size - len(pieces)))

    @functools.cached_property
    def _word_starts(self) -> Bool[np.ndarray, 'pieces']:
        if self.vocabulary is None:
            raise ValueError(
                'whole words cannot be told without a vocabulary: set WholeWords.vocabulary to the file of '
                'the SentencePiece model that the inputs were made with'
            )
        return TextVocabulary.load(self.vocabulary, extra_ids=0).word_starts
