"""A device's memory at the moment of a step when it is fullest, split by what it holds."""

import dataclasses
import math
from typing import Any

import jax
from jaxtyping import PyTree

from llmrec_jax.planning.compilation import ProgramMemory
from llmrec_jax.training.train_state import TrainState


@dataclasses.dataclass(frozen=True)
class MemorySplit:
    """Bytes on one device.

    Attributes:
      parameters: of the network.
      optimizer_state: moments and the like.
      gradients: sums over microbatches; 0 where a batch is one program, which holds gradients among its
        temporaries.
      temporaries: activations kept for the backward pass and all else that lives while a program runs.
      rest: the batch, the program itself, and the padding of layouts.
    """

    parameters: int
    optimizer_state: int
    gradients: int
    temporaries: int
    rest: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.parameters + self.optimizer_state + self.gradients + self.temporaries + self.rest


def sharded_bytes(tree: PyTree[Any]) -> int:
    """Bytes of one device's shards of arrays, or of their shapes with shardings."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def training_memory(programs: dict[str, ProgramMemory], state: TrainState, gradients: int) -> MemorySplit:
    """The fullest moment of an update.

    Args:
      programs: of the update, by the names that `training.step` gives them.
      state: shapes and shardings of the state.
      gradients: bytes of a device's gradient sums; 0 for a batch that is one program.
    """
    parameters, moments = sharded_bytes(state.params), sharded_bytes(state.opt_state)
    # What lies in memory while a program runs that does not take it: moments wait out the accumulation.
    waiting = {'accumulate': moments, 'zero': parameters + moments}
    fullest = max(programs, key=lambda name: programs[name].total + waiting.get(_kind(name), 0))
    total = programs[fullest].total + waiting.get(_kind(fullest), 0)
    temporaries = programs[fullest].temporaries
    rest = total - parameters - moments - gradients - temporaries
    return MemorySplit(parameters, moments, gradients, temporaries, rest)


def _kind(program: str) -> str:
    return program.split('_')[0]
