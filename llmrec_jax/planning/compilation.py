"""Compiles a lowered program and reads what it needs, or by how much it does not fit.

A device's memory at the moment of a step when it is fullest is split by what it holds.
"""

import dataclasses
import math
import re
from typing import Any

import jax
from jaxtyping import PyTree

from llmrec_jax.planning.hlo_text import parse_module
from llmrec_jax.planning.program_costs import ProgramCosts, program_costs
from llmrec_jax.training.train_state import TrainState

UNITS = {'': 1, 'K': 2**10, 'M': 2**20, 'G': 2**30, 'T': 2**40}
_SIZE = r'([\d.]+)([KMGT]?)i?B?'


@dataclasses.dataclass(frozen=True)
class ProgramMemory:
    """Bytes of one program on one device, as the compiler laid them out.

    Attributes:
      arguments: what it is given.
      results: what it returns, beyond what takes the place of a donated argument.
      temporaries: what it needs while it runs.
      code: the program itself.
    """

    arguments: int
    results: int
    temporaries: int
    code: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.arguments + self.results + self.temporaries + self.code


@dataclasses.dataclass(frozen=True)
class CompiledProgram:
    """A program that fits by itself: its memory, and what a run costs a device."""

    memory: ProgramMemory
    costs: ProgramCosts


@dataclasses.dataclass(frozen=True)
class OutOfMemory:
    """A program that the compiler could not fit.

    Attributes:
      needed: bytes that it asked for; None where the message does not tell.
      available: bytes there are; likewise.
    """

    needed: int | None
    available: int | None


def compile_program(lowered: Any, devices: int, loop_runs: int = 1) -> CompiledProgram | OutOfMemory:
    """Compiles for the devices that the program was lowered for.

    Args:
      lowered: what `jax.jit(...).lower` gave.
      devices: number of them.
      loop_runs: see `program_costs`.
    """
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if 'RESOURCE_EXHAUSTED' not in str(error):
            raise
        return read_out_of_memory(str(error))
    memory = compiled.memory_analysis()
    return CompiledProgram(
        ProgramMemory(
            arguments=memory.argument_size_in_bytes,
            results=memory.output_size_in_bytes - memory.alias_size_in_bytes,
            temporaries=memory.temp_size_in_bytes,
            code=memory.generated_code_size_in_bytes,
        ),
        program_costs(parse_module(compiled.as_text()), devices, loop_runs),
    )


def read_out_of_memory(message: str) -> OutOfMemory:
    """The numbers of a RESOURCE_EXHAUSTED message."""
    for pattern in (
        rf'\({_SIZE}\) exceeds available \w+ \({_SIZE}\)',
        rf'Used {_SIZE} of {_SIZE} hbm',
        rf'{_SIZE} exceeds available \w+ {_SIZE}',
    ):
        if found := re.search(pattern, message):
            needed, unit, available, of_unit = found.groups()
            return OutOfMemory(_bytes(needed, unit), _bytes(available, of_unit))
    return OutOfMemory(None, None)


def _bytes(number: str, unit: str) -> int:
    return int(float(number) * UNITS[unit])


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
    parameters, moments = sharded_bytes(state.all_params), sharded_bytes(state.opt_state)
    # What lies in memory while a program runs that does not take it: moments wait out the accumulation.
    waiting = {'accumulate': moments, 'zero': parameters + moments}
    fullest = max(programs, key=lambda name: programs[name].total + waiting.get(_kind(name), 0))
    total = programs[fullest].total + waiting.get(_kind(fullest), 0)
    temporaries = programs[fullest].temporaries
    rest = total - parameters - moments - gradients - temporaries
    return MemorySplit(parameters, moments, gradients, temporaries, rest)


def _kind(program: str) -> str:
    return program.split('_')[0]
