"""Names of TPU slices, such as 'v5e:4x4', read and written."""

import math

from llmrec_jax.training.chips import TPUS, Chip


def shape_text(shape: tuple[int, ...]) -> str:
    """E.g. '4x4'."""
    return 'x'.join(map(str, shape))


def parse_topology(name: str) -> tuple[Chip, tuple[int, ...]]:
    """The chip and slice shape of a name such as 'v5e:4x4'.

    Raises:
      ValueError: when there is no such chip or slice; the message lists what there is.
    """
    family, _, text = name.partition(':')
    if family not in TPUS:
        kinds = ', '.join(f'{chip.name}:{shape_text(chip.shapes[3])}' for chip in TPUS.values())
        raise ValueError(f'no TPU topology {name!r}; there are, for example, {kinds}, or here')
    chip = TPUS[family]
    sizes = text.split('x')
    shape = tuple(int(size) for size in sizes) if all(size.isdigit() for size in sizes) else ()
    if shape not in chip.shapes and not _whole_cubes(chip, shape):
        known = ', '.join(map(shape_text, chip.shapes))
        more = ', or multiples of 4 in ascending order' if chip.axes == 3 else ''
        raise ValueError(f'no TPU topology {name!r}; slices of {family} are {known}{more}')
    return chip, shape


def _whole_cubes(chip: Chip, shape: tuple[int, ...]) -> bool:
    cubes = chip.axes == 3 and len(shape) == 3 and all(size and size % 4 == 0 for size in shape)
    return cubes and shape == tuple(sorted(shape)) and math.prod(shape) <= 16 * 16 * 24
