"""A history as TIGER's input (section 3.2): the user's token, and the codes of the newest items.

It is written once, against the few operations of `EncodingOps`, and runs in NumPy and inside tf.data alike.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.user_hashes import user_hash
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import TokenLayout


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
    histories: Sequence[Sequence[int] | Int[np.ndarray, 'items']],
    table: CodeTable,
    layout: TokenLayout,
    max_items: int,
) -> list[Int[np.ndarray, 'tokens']]:
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
