"""How often a compiled program's loops run."""

import re
from collections.abc import Iterator

from llmrec_jax.planning.hlo_text import Computation, Instruction, Module

PASSED_ON = ('copy', 'bitcast', 'convert')


def trip_count(module: Module, computation: Computation, loop: Instruction) -> int | None:
    """How often a `while` runs: as the compiler notes it, or as its counter's start, step and bound say.

    Args:
      module: the program.
      computation: the one that the loop stands in.
      loop: the `while`.

    Returns:
      None where neither tells.
    """
    if noted := re.search(r'known_trip_count[^}]*?"?n"?[=:]\s*"?(\d+)', loop.attributes):
        return int(noted[1])
    condition = module.computations[loop.called('condition')[0]]
    body = module.computations[loop.called('body')[0]]
    reached = list(_reachable(module, condition))
    bounds = [number for item in reached if (number := _number(item)) is not None]
    compares = [item for item in reached if item.opcode == 'compare']
    places = [
        int(index[1])
        for item in condition.instructions.values()
        if item.opcode == 'get-tuple-element' and (index := re.search(r'index=(\d+)', item.attributes))
    ]
    if len(bounds) != 1 or len(places) != 1 or len(compares) != 1:
        return None
    step = _step(module, body, places[0])
    if step is None or step < 1 or 'direction=LT' not in compares[0].attributes:
        return None
    return max(-(-(bounds[0] - _start(computation, loop, places[0])) // step), 0)


def _start(computation: Computation, loop: Instruction, place: int) -> int:
    """What the counter starts from; 0, from where JAX counts, if the text does not tell."""
    carried = computation.instructions.get(loop.operands[0]) if loop.operands else None
    if carried is None or carried.opcode != 'tuple':
        return 0
    start = computation.instructions.get(carried.operands[place])
    while start is not None and start.opcode in PASSED_ON and start.operands:
        start = computation.instructions.get(start.operands[0])
    number = None if start is None else _number(start)
    return 0 if number is None else number


def _step(module: Module, body: Computation, place: int) -> int | None:
    """What a run of the body adds to the counter; None where that is no constant."""
    root = body.instructions[body.root]
    if root.opcode != 'tuple':
        return None
    instruction, within = body.instructions[root.operands[place]], body
    while instruction.opcode in (*PASSED_ON, 'fusion'):
        if instruction.opcode == 'fusion':
            within = module.computations[instruction.called('calls')[0]]
            constants = [item for item in within.instructions.values() if _number(item) is not None]
            if len(constants) != 1:
                return None
            instruction = within.instructions[within.root]
        else:
            instruction = within.instructions[instruction.operands[0]]
    if instruction.opcode != 'add':
        return None
    operands = (within.instructions.get(name) for name in instruction.operands)
    numbers = [number for operand in operands if operand and (number := _number(operand)) is not None]
    return numbers[0] if len(numbers) == 1 else None


def _number(instruction: Instruction) -> int | None:
    """The value of an integer constant; None for all else."""
    constant = instruction.opcode == 'constant' and re.fullmatch(r'-?\d+', instruction.literal)
    return int(instruction.literal) if constant else None


def _reachable(module: Module, computation: Computation) -> Iterator[Instruction]:
    for instruction in computation.instructions.values():
        yield instruction
        for name in instruction.called('calls'):
            yield from _reachable(module, module.computations[name])
