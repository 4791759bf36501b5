"""Drawing without replacement by a random permutation that is computed, not stored.

The numbers below `bound` are laid out in a grid of `rows` x `columns`, rows * columns >= bound, and a Feistel
network adds to the row a hash of the column and to the column a hash of the row, in turn: each round is
a bijection of the grid, whatever the hash. Reading the permuted grid from its start and leaving out what is
not wanted gives a sample without replacement in a fixed number of vector operations, without a loop.
"""

import math
from collections.abc import Callable

from llmrec_jax.prompts.array_ops import Array, ArrayOps
from llmrec_jax.prompts.hashing import below

# Four rounds of a random function suffice in theory; the two more are for grids of few cells.
_ROUNDS = 6


def first_outside(
    ops: ArrayOps, hash_of: Callable[[str, Array], Array], bound: int, excluded: Array, count: Array
) -> Array:
    """The first `count` numbers of a random permutation of 0..bound-1 that are not in `excluded`.

    Args:
      ops: the side at work.
      hash_of: random bits of a vector of numbers; the name tells one random function from another.
      bound: size of the population.
      excluded: int64, ascending, without repetition, each below `bound`.
      count: how many.

    Raises:
      ValueError: when fewer are left; an InvalidArgumentError inside tf.data.
    """
    held_out = ops.size(excluded)
    ops.require(
        bound - held_out >= count,
        f'{count} numbers outside the excluded ones were asked for, which {bound} in all do not leave',
    )
    rows = math.isqrt(max(bound - 1, 0)) + 1
    columns = -(-bound // rows)
    cells = rows * columns
    # Of so many, at most `held_out` are excluded and `cells - bound` are cells without a number.
    needed = ops.minimum(count + held_out + (cells - bound), cells)
    drawn = _permuted(ops, hash_of, ops.arange(needed), rows, columns)
    # An end mark, equal to no number, lets the lookup below read one place past the last.
    marked = ops.concat([excluded, ops.integers([cells])])
    outside = ops.take(marked, ops.position(marked, drawn)) != drawn
    return ops.keep(drawn, outside & (drawn < bound))[:count]


def _permuted(
    ops: ArrayOps, hash_of: Callable[[str, Array], Array], cells: Array, rows: int, columns: int
) -> Array:
    row, column = cells // columns, cells % columns
    for turn in range(_ROUNDS):
        if turn % 2 == 0:
            row = (row + below(ops, hash_of(str(turn), column), rows)) % rows
        else:
            column = (column + below(ops, hash_of(str(turn), row), columns)) % columns
    return row * columns + column
