"""The devices to plan for: a TPU slice described by libtpu without a TPU, or the devices at hand.

Names of slices, such as 'v5e:4x4', are read and written here.
"""

import dataclasses
import importlib.util
import math
import os
from collections.abc import Sequence
from typing import Any

import jax

from llmrec_jax.training.chips import TPUS, Chip, chip_of


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


HERE = 'here'
# Without the first, libtpu asks a metadata server that only exists in the cloud; without the second, two
# processes cannot compile at once; the others keep it quiet.
LIBTPU_ENVIRONMENT = {
    'TPU_SKIP_MDS_QUERY': '1',
    'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
    'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
    'TPU_WORKER_HOSTNAMES': 'localhost',
    'TPU_WORKER_ID': '0',
    'TPU_LOG_DIR': 'disabled',
    'TPU_STDERR_LOG_LEVEL': '3',
}


@dataclasses.dataclass(frozen=True)
class Topology:
    """Devices to compile for.

    Attributes:
      name: e.g. 'v5e:4x4', or 'here'.
      devices: as JAX describes them; they need not exist.
      chip: what they are; None where their figures are not known.
      shape: of the slice, in chips; empty for devices at hand.
    """

    name: str
    devices: Sequence[Any]
    chip: Chip | None
    shape: tuple[int, ...] = ()

    @property
    def chips(self) -> int:
        """Number of chips, which is what one pays for."""
        return len(self.devices) // (self.chip.devices_per_chip if self.chip else 1)

    def coordinates(self, device: Any) -> tuple[int, ...] | None:
        """Where a device's chip stands in the slice; None where devices do not tell."""
        coords = getattr(device, 'coords', None)
        return None if coords is None or not self.shape else tuple(coords)[: len(self.shape)]


def open_topology(name: str) -> Topology:
    """The devices that `name` stands for.

    For a TPU slice this sets libtpu's environment and keeps JAX on the processor, so it must come before JAX
    looks for devices.

    Raises:
      ValueError: when there is no such topology, or libtpu is not installed.
    """
    if name == HERE:
        devices = jax.devices()
        return Topology(name, devices, chip_of(devices[0].device_kind))
    chip, shape = parse_topology(name)
    if 'TPU_LIBRARY_PATH' not in os.environ and importlib.util.find_spec('libtpu') is None:
        raise ValueError(
            f"compiling for {name} needs libtpu, Google's TPU compiler: pip install 'llmrec_jax[plan]', or "
            "pip install 'libtpu==0.0.42.*' for jax 0.10.2"
        )
    for variable, value in LIBTPU_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    jax.config.update('jax_platforms', 'cpu')
    from jax.experimental import topologies

    options: dict[str, Any] = {}
    if chip.chip_config:
        options['chip_config_name'] = chip.chip_config
    if len(shape) == 2 and 1 in shape:
        options['chips_per_host_bounds'] = (*shape, 1)
    described = topologies.get_topology_desc(platform='tpu', topology_name=name, **options)
    return Topology(name, described.devices, chip, shape)
