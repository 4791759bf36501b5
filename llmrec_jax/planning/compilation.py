"""Compiles a lowered program and reads what it needs, or by how much it does not fit."""

import dataclasses
import re
from typing import Any

import jax

from llmrec_jax.planning.hlo_text import parse_module
from llmrec_jax.planning.program_costs import ProgramCosts, program_costs

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
