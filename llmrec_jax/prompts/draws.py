"""Random draws that are a function of (group, seed, epoch, record, repetition), in NumPy as in TensorFlow.

The key is folded from the name and the four numbers, each named stream adds a constant of its own, and draw
`i` of a stream is SplitMix64's i-th output from there. Nothing has a state, so no draw depends on how many
were made before it, by whom, or in which order.
"""

import dataclasses

from llmrec_jax.prompts.array_ops import Array, ArrayOps
from llmrec_jax.prompts.hashing import GAMMA, below, mix, name_constant, outputs
from llmrec_jax.prompts.permutation import first_outside


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
