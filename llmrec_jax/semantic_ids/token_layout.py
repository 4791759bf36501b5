"""TIGER's input and vocabulary (sections 3.2 and 4): the user's token, and the codes of the newest items.

The encoding of histories is written once, against the few operations of `EncodingOps`, and runs in NumPy
and inside tf.data alike.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import user_hash
from llmrec_jax.semantic_ids.code_table import CodeTable

PAD, EOS, UNK = 0, 1, 2
FIRST_LEVEL_TOKEN = 3


@dataclasses.dataclass(frozen=True)
class TokenLayout:
    """Token ids: padding 0, end 1, unknown 2, then the codewords level by level, then the user tokens.

    Attributes:
      codebook_sizes: number of codewords at each level, the collision level included, if there is one.
      user_tokens: number of tokens that user ids are hashed to; 0 for a model without a user token.
      multiple_of: the vocabulary's size is rounded up to a multiple of this, so that it divides over devices.
    """

    codebook_sizes: tuple[int, ...]
    user_tokens: int = 2000
    multiple_of: int = 128

    def __post_init__(self):
        if not self.codebook_sizes or min(self.codebook_sizes) < 1:
            raise ValueError(
                f'every level needs at least one codeword, codebook_sizes are {self.codebook_sizes}'
            )
        if self.user_tokens < 0 or self.multiple_of < 1:
            raise ValueError(
                f'user_tokens={self.user_tokens} and multiple_of={self.multiple_of} must be positive'
            )

    @property
    def n_levels(self) -> int:
        """Number of tokens an item has."""
        return len(self.codebook_sizes)

    @functools.cached_property
    def level_offsets(self) -> tuple[int, ...]:
        """Token of code 0 at each level."""
        ends = np.cumsum((FIRST_LEVEL_TOKEN, *self.codebook_sizes))
        return tuple(int(end) for end in ends[:-1])

    @property
    def user_offset(self) -> int:
        """The first user token."""
        return FIRST_LEVEL_TOKEN + sum(self.codebook_sizes)

    @property
    def n_tokens(self) -> int:
        """Number of tokens that mean something; the rest up to `vocab_size` are padding."""
        return self.user_offset + self.user_tokens

    @property
    def vocab_size(self) -> int:
        """Number of rows of the model's embedding table."""
        return -(-self.n_tokens // self.multiple_of) * self.multiple_of

    def item_tokens(self, codes: Int[np.ndarray, '*batch levels']) -> Int[np.ndarray, '*batch levels']:
        """The tokens of items with these codes.

        Raises:
          ValueError: if a code is outside its codebook.
        """
        sizes = np.asarray(self.codebook_sizes)
        if codes.shape[-1] != self.n_levels or ((codes < 0) | (codes >= sizes)).any():
            raise ValueError(
                f'codes of shape {codes.shape} do not fit codebooks of {self.codebook_sizes} codewords'
            )
        return (codes + np.asarray(self.level_offsets)).astype(np.int32)

    def item_codes(self, tokens: Int[np.ndarray, '*batch levels']) -> Int[np.ndarray, '*batch levels']:
        """The codes that these tokens stand for; -1 where a token is not one of its level's."""
        codes = tokens - np.asarray(self.level_offsets)
        inside = (codes >= 0) & (codes < np.asarray(self.codebook_sizes))
        return np.where(inside, codes, -1).astype(np.int32)

    def user_token(self, user_id: str) -> int:
        """The token of a user: crc32 of the id modulo `user_tokens`, the same in every process.

        Raises:
          ValueError: if the layout has no user tokens.
        """
        return self.hashed_user_token(user_hash(user_id))

    def hashed_user_token(self, hashed: Any) -> Any:
        """The token of a user whose id has this `user_hash`: a number, or a tensor of numbers.

        Raises:
          ValueError: if the layout has no user tokens.
        """
        if not self.user_tokens:
            raise ValueError('this layout has no user tokens: set user_tokens above 0')
        return self.user_offset + hashed % self.user_tokens

    def token_texts(self) -> list[str]:
        """Each token in words: '<pad>', '</s>', '<unk>', '<level_code>' ..., '<user_n>' ..."""
        levels = [
            f'<{level}_{code}>' for level, size in enumerate(self.codebook_sizes) for code in range(size)
        ]
        return ['<pad>', '</s>', '<unk>', *levels, *(f'<user_{user}>' for user in range(self.user_tokens))]


class EncodingOps(NamedTuple):
    """What the encoding needs of the side at work; indexing and arithmetic mean the same on both.

    Attributes:
      take: rows of a table.
      reshape: an array to a shape.
      concat: arrays joined along an axis.
      int32: a number as int32.
    """

    take: Callable[[Any, Any], Any]
    reshape: Callable[[Any, Any], Any]
    concat: Callable[[Sequence[Any], int], Any]
    int32: Callable[[Any], Any]


NUMPY = EncodingOps(lambda table, rows: table[rows], np.reshape, np.concatenate, np.int32)


@dataclasses.dataclass(frozen=True)
class HistoryEncoding:
    """How a history becomes tokens.

    Attributes:
      layout: token ids of codes and users; with `user_tokens=0` there is no user's token at all.
      max_items: the newest items of the history that are shown.
    """

    layout: TokenLayout
    max_items: int

    @property
    def longest(self) -> int:
        """Tokens of a full input."""
        return (self.layout.user_tokens > 0) + self.max_items * self.layout.n_levels

    def inputs(self, ops: EncodingOps, item_tokens: Any, hashed: Any, history: Any) -> Any:
        """The tokens of one history.

        Args:
          ops: of the side at work.
          item_tokens: [items, levels], the tokens of every item; int32.
          hashed: `user_hash` of the user.
          history: rows of items, oldest first.

        Returns:
          int32 [tokens]: the user's token, where the layout has any, and then items, oldest first.
        """
        newest = ops.reshape(ops.take(item_tokens, history[-self.max_items :]), [-1])
        if not self.layout.user_tokens:
            return newest
        user = ops.int32(self.layout.hashed_user_token(hashed))
        return ops.concat([ops.reshape(user, [1]), newest], 0)


def encode_histories(
    users: Sequence[str],
    histories: Sequence[Sequence[int] | Int[np.ndarray, '_']],
    table: CodeTable,
    layout: TokenLayout,
    max_items: int,
) -> list[Int[np.ndarray, '_']]:
    """What TIGER's task makes of these histories, without TensorFlow.

    Args:
      users: ids.
      histories: rows of items, oldest first.
      table: of the catalogue.
      layout: token ids.
      max_items: the newest items that are shown.

    Returns:
      The tokens of each history.

    Raises:
      ValueError: when the table's codes do not fit the layout.
    """
    encoding, tokens = HistoryEncoding(layout, max_items), layout.item_tokens(table.codes)
    return [
        encoding.inputs(NUMPY, tokens, user_hash(user), np.asarray(history, np.int64))
        for user, history in zip(users, histories, strict=True)
    ]
