"""Random draws that are a function of (group, seed, epoch, record, repetition), in NumPy as in TensorFlow.

The key is folded from the name and the four numbers, each named stream adds a constant of its own, and draw
`i` of a stream is SplitMix64's i-th output from there (Steele, Lea and Flood, 2014). Nothing has a state,
so no draw depends on how many were made before it, by whom, or in which order.

A draw without replacement is a random permutation that is computed, not stored. The numbers below `bound`
are laid out in a grid of `rows` x `columns`, rows * columns >= bound, and a Feistel network adds to the row
a hash of the column and to the column a hash of the row, in turn: each round is a bijection of the grid,
whatever the hash. Reading the permuted grid from its start and leaving out what is not wanted gives a
sample without replacement in a fixed number of vector operations, without a loop.
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping

from llmrec_jax.prompts.array_ops import Array, ArrayOps

GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def mix(ops: ArrayOps, values: Array) -> Array:
    """SplitMix64's output function: a bijection of 64 bits, any of which moves half of the output's."""
    values = ops.xor(values, ops.shift_right(values, 30)) * ops.bits(_MULTIPLIERS[0])
    values = ops.xor(values, ops.shift_right(values, 27)) * ops.bits(_MULTIPLIERS[1])
    return ops.xor(values, ops.shift_right(values, 31))


def outputs(ops: ArrayOps, state: Array, counters: Array) -> Array:
    """The generator's outputs number `counters` (from 0) after `state`, uint64 [counters]."""
    return mix(ops, state + (ops.bits(counters) + ops.bits(1)) * ops.bits(GAMMA))


def below(ops: ArrayOps, bits: Array, bound: Array) -> Array:
    """Brings random bits to 0..bound-1, uniform to within bound / 2^32: their upper half times the bound."""
    return ops.integers(ops.shift_right(ops.shift_right(bits, 32) * ops.bits(bound), 32))


def name_constant(name: str) -> int:
    """64 bits of a name, the same in every process."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), 'little')


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


@dataclasses.dataclass(frozen=True)
class Draws:
    """The draws of one example; `of` makes them.

    Attributes:
      ops: the side at work.
      key: uint64 [1].
    """

    ops: ArrayOps
    key: Array

    @classmethod
    def of(
        cls, ops: ArrayOps, *, group: str, seed: Array, epoch: Array, record: Array, repetition: Array
    ) -> 'Draws':
        """The draws of the `repetition`-th example that `record` gives in `epoch`.

        Raises:
          ValueError: when the seed is negative.
        """
        if isinstance(seed, int) and seed < 0:
            raise ValueError(f'the seed of prompts is {seed}; it must not be negative')
        key = ops.bits(name_constant(group))
        for part in (seed, epoch, record, repetition):
            key = mix(ops, key + ops.bits(GAMMA) + ops.bits(part))
        return cls(ops, key)

    def bits(self, stream: str, count: Array) -> Array:
        """uint64 [count]; streams of different names are independent."""
        return self._hash(stream, self.ops.arange(count))

    def integers(self, stream: str, bound: Array, count: Array) -> Array:
        """int64 [count], uniform in 0..bound-1 (to within bound / 2^32)."""
        return below(self.ops, self.bits(stream, count), bound)

    def integer(self, stream: str, bound: Array) -> Array:
        """One of `integers`, as a scalar."""
        return self.integers(stream, bound, 1)[0]

    def coin(self, stream: str) -> Array:
        """True or False, as a scalar."""
        return self.integer(stream, 2) == 1

    def sample_outside(self, stream: str, bound: int, excluded: Array, count: Array) -> Array:
        """int64 [count]: different numbers of 0..bound-1, none of them in `excluded`, in random order.

        Args:
          stream: name of the stream.
          bound: size of the population, the same for all examples.
          excluded: int64, ascending, without repetition, each below `bound`.
          count: how many.

        Raises:
          ValueError: when the population does not have as many; an InvalidArgumentError inside tf.data.
        """
        return first_outside(
            self.ops, lambda turn, values: self._hash(f'{stream}/{turn}', values), bound, excluded, count
        )

    def _hash(self, stream: str, values: Array) -> Array:
        """Bits of each value: a random function, another one for every stream."""
        state = mix(self.ops, self.key + self.ops.bits(name_constant(stream)))
        return outputs(self.ops, state, values)


CANDIDATE_FIELDS = frozenset({'candidate'})


def with_negatives(target: Array, own: Array, tables: Mapping[str, Array], draws: Draws, count: int) -> Array:
    """int64 [count]: `target` at a random place among negatives drawn outside `own` without replacement.

    Args:
      target: the item to be found.
      own: the items that are no negatives, ascending, each once; the target among them.
      tables: the catalogue is as large as the table 'item'.
      draws: of the example.
      count: how many candidates.
    """
    negatives = draws.sample_outside('negatives', tables['item'].shape[0], own, count - 1)
    place = draws.integer('place', count)
    return draws.ops.concat([negatives[:place], draws.ops.integers([target]), negatives[place:]])
