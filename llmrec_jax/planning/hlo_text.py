"""Reads a compiled program's text: computations, instructions, shapes, calls, and how often its loops run.

The text is what `jax.stages.Compiled.as_text` gives after all of the compiler's passes, for one device.
"""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping

BITS = {
    **dict.fromkeys(('pred', 's8', 'u8', 'f8e4m3', 'f8e4m3fn', 'f8e4m3b11fnuz', 'f8e5m2'), 8),
    **dict.fromkeys(('s2', 'u2'), 2),
    **dict.fromkeys(('s4', 'u4', 'f4e2m1fn'), 4),
    **dict.fromkeys(('s16', 'u16', 'bf16', 'f16'), 16),
    **dict.fromkeys(('s32', 'u32', 'f32'), 32),
    **dict.fromkeys(('s64', 'u64', 'f64', 'c64'), 64),
    'c128': 128,
}
_ARRAY = re.compile(r'([a-z]\w*)\[([\d,]*)\](?:\{([^}]*)\})?')
_HEADER = re.compile(r'^(ENTRY )?%?([\w.\-]+) \(.*\{\s*$')
_ASSIGNMENT = re.compile(r'^\s+(ROOT )?%?([\w.\-]+) = (.*)$')


@dataclasses.dataclass(frozen=True)
class ArrayShape:
    """An array in a program.

    Attributes:
      dtype: the compiler's name of the element type.
      dims: sizes, one device's share of a sharded array.
      memory: number of the memory that the layout names; 0 is the device's main memory.
    """

    dtype: str
    dims: tuple[int, ...]
    memory: int = 0

    @property
    def elements(self) -> int:
        """Number of elements."""
        return functools.reduce(lambda product, size: product * size, self.dims, 1)

    @property
    def bytes(self) -> int:
        """Bytes without the padding of a tiled layout; 0 for what is no number (tokens)."""
        return -(-self.elements * BITS.get(self.dtype, 0) // 8)

    @property
    def main_memory_bytes(self) -> int:
        """`bytes`, where the array lies in main memory."""
        return self.bytes if self.memory == 0 else 0


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    Attributes:
      name: of its result.
      opcode: what it does.
      shapes: its result; several for a tuple, nested ones flattened.
      operands: names of what it reads.
      literal: what stands between the opcode's parentheses.
      attributes: what follows them.
    """

    name: str
    opcode: str
    shapes: tuple[ArrayShape, ...]
    operands: tuple[str, ...]
    literal: str
    attributes: str

    def called(self, role: str) -> tuple[str, ...]:
        """Names of the computations that it calls as `role`: 'calls', 'body', 'condition', 'to_apply' …"""
        match = re.search(rf'\b{role}=(?:\{{([^}}]*)\}}|%?([\w.\-]+))', self.attributes)
        if match is None:
            return ()
        listed = match[1] if match[1] is not None else match[2]
        return tuple(name.strip().lstrip('%') for name in listed.split(',') if name.strip())

    def attribute(self, name: str) -> str | None:
        """The value of a plain attribute such as `dim_labels=bf_io->bf`; None where it is absent."""
        match = re.search(rf'\b{name}=([^,\s{{]+|\{{[^{{}}]*\}})', self.attributes)
        return None if match is None else match[1]


@dataclasses.dataclass(frozen=True)
class Computation:
    """A named list of instructions, in order; the last word is the root's."""

    name: str
    instructions: Mapping[str, Instruction]
    root: str

    @functools.cached_property
    def users(self) -> Mapping[str, tuple[Instruction, ...]]:
        """Which instructions read each result."""
        found: dict[str, list[Instruction]] = {name: [] for name in self.instructions}
        for instruction in self.instructions.values():
            for operand in dict.fromkeys(instruction.operands):
                if operand in found:
                    found[operand].append(instruction)
        return {name: tuple(readers) for name, readers in found.items()}

    @functools.cached_property
    def parameters(self) -> tuple[Instruction, ...]:
        """The computation's parameters in the order of their numbers."""
        found = [item for item in self.instructions.values() if item.opcode == 'parameter']
        return tuple(sorted(found, key=lambda item: int(item.literal)))


@dataclasses.dataclass(frozen=True)
class Module:
    """A program: its computations by name, and which one it begins with."""

    computations: Mapping[str, Computation]
    entry: str


def parse_module(text: str) -> Module:
    """Reads the text of a program.

    Raises:
      ValueError: when the text has no entry computation.
    """
    computations: dict[str, Computation] = {}
    entry, name, instructions, root = '', '', {}, ''
    for line in text.splitlines():
        if header := _HEADER.match(line):
            name, instructions, root = header[2], {}, ''
            entry = name if header[1] else entry
        elif line.startswith('}') and name:
            computations[name] = Computation(name, instructions, root or next(reversed(instructions), ''))
            name = ''
        elif name and (assignment := _ASSIGNMENT.match(line)):
            instruction = _instruction(assignment[2], assignment[3])
            instructions[instruction.name] = instruction
            root = instruction.name if assignment[1] else root
    if entry not in computations:
        raise ValueError('the text holds no entry computation: it is not that of a compiled program')
    return Module(computations, entry)


def parse_shapes(text: str) -> tuple[ArrayShape, ...]:
    """The arrays named in `text`, e.g. '(f32[2,3]{1,0}, u32[])'."""
    shapes = []
    for dtype, dims, layout in _ARRAY.findall(text):
        memory = re.search(r'S\((\d+)\)', layout)
        sizes = tuple(int(size) for size in dims.split(',') if size)
        shapes.append(ArrayShape(dtype, sizes, int(memory[1]) if memory else 0))
    return tuple(shapes)


def _instruction(name: str, text: str) -> Instruction:
    end = _closing(text, 0) + 1 if text.startswith('(') else text.index(' ')
    rest = text[end:].lstrip()
    opening = rest.index('(')
    closing = _closing(rest, opening)
    literal = rest[opening + 1 : closing]
    return Instruction(
        name=name,
        opcode=rest[:opening],
        shapes=parse_shapes(text[:end]),
        operands=tuple(re.findall(r'%([\w.\-]+)', literal)),
        literal=literal,
        attributes=rest[closing + 1 :],
    )


def _closing(text: str, opening: int) -> int:
    """Index of the parenthesis that closes the one at `opening`."""
    depth = 0
    for match in re.compile(r'[()]').finditer(text, opening):
        depth += 1 if match[0] == '(' else -1
        if depth == 0:
            return match.start()
    raise ValueError(f'a parenthesis is not closed in {text[:80]!r}')


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
