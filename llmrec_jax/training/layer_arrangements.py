"""Finds the parameters of a T5 network in a checkpoint that arranges its layers in another way.

| arrangement | who | a parameter of an encoder layer |
|---|---|---|
| one subtree a layer | T5X, the public checkpoints, ours | `encoder/layers_3/attention/query/kernel` |
| stacked, layers first | ours with `scan_layers` | `encoder/layers/attention/query/kernel` |

The same holds of an optimizer's moments, whose paths end in those of their parameters. Nothing is copied
here: an array is a view that reads the slices it is asked for.

T5X's scalable networks and umT5 are other networks, not other arrangements of this one: every layer has a
relative position bias of its own.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

import numpy as np

from llmrec_jax.training.stored_arrays import Index, ReadableArray

STACKS = r'(?P<before>(?:.*/)?)(?P<stack>encoder|decoder)'
ONE_LAYER = re.compile(STACKS + r'/layers_(?P<layer>\d+)/(?P<rest>.+)')
ALL_LAYERS = re.compile(STACKS + r'/layers/(?P<rest>.+)')
OWN_BIAS = re.compile(STACKS + r'/(?:(?P=stack)|layers_\d+|layers)/relpos_bias/.+')

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Where an array of the network comes from.

    Attributes:
      parts: names in the checkpoint and the shapes they must have there.
      stacked: whether the parts are layers to be stacked.
      layer: which layer of a stacked array it is; None for the whole of its part.
    """

    parts: Mapping[str, Shape]
    stacked: bool = False
    layer: int | None = None

    def view(self, arrays: Mapping[str, ReadableArray]) -> ReadableArray:
        """The array, read from its parts."""
        found = [arrays[name] for name in self.parts]
        if self.stacked:
            return Stacked(tuple(found))
        return found[0] if self.layer is None else LayerOf(found[0], self.layer)


def sources(wanted: Mapping[str, Shape], stored: Iterable[str]) -> dict[str, Source]:
    """For each array of the network, the arrays of the checkpoint that it is made of.

    Args:
      wanted: paths and shapes of the network's arrays.
      stored: paths in the checkpoint.

    Raises:
      ValueError: when the checkpoint is of a network that has a position bias in every layer.
    """
    stored, depths = set(stored), _depths(wanted)
    if own := next(filter(OWN_BIAS.fullmatch, sorted(stored)), None):
        raise ValueError(
            f"it is of a network with a relative position bias of its own in every layer ({own}), as T5X's "
            'scalable networks and umT5 are; this network shares one among the layers of a stack'
        )
    return {name: _source(name, shape, stored, depths) for name, shape in wanted.items()}


@dataclasses.dataclass(frozen=True, eq=False)
class Stacked:
    """Arrays of one shape as one with a new first axis."""

    parts: tuple[ReadableArray, ...]

    @property
    def shape(self) -> Shape:
        """Layers, then the shape of one."""
        return (len(self.parts), *self.parts[0].shape)

    @property
    def dtype(self) -> np.dtype:
        """That of the parts."""
        return self.parts[0].dtype

    def read(self, index: Index) -> np.ndarray:
        """The part that `index` selects."""
        return np.stack([part.read(index[1:]) for part in self.parts[index[0]]])


@dataclasses.dataclass(frozen=True, eq=False)
class LayerOf:
    """One layer of a stacked array."""

    array: ReadableArray
    layer: int

    @property
    def shape(self) -> Shape:
        """The shape of one layer."""
        return self.array.shape[1:]

    @property
    def dtype(self) -> np.dtype:
        """That of the stack."""
        return self.array.dtype

    def read(self, index: Index) -> np.ndarray:
        """The part that `index` selects."""
        return self.array.read((slice(self.layer, self.layer + 1), *index))[0]


def _source(name: str, shape: Shape, stored: set[str], depths: Mapping[str, int]) -> Source:
    if name not in stored:
        if match := ALL_LAYERS.fullmatch(name):
            before, stack, rest = match['before'], match['stack'], match['rest']
            if any(_is_layer(other, before, stack) for other in stored):
                names = (f'{before}{stack}/layers_{layer}/{rest}' for layer in range(shape[0]))
                return Source(dict.fromkeys(names, shape[1:]), stacked=True)
        elif match := ONE_LAYER.fullmatch(name):
            stack = match['before'] + match['stack']
            if (stacked := f'{stack}/layers/{match["rest"]}') in stored:
                return Source({stacked: (depths[stack], *shape)}, layer=int(match['layer']))
    return Source({name: shape})


def _is_layer(name: str, before: str, stack: str) -> bool:
    match = ONE_LAYER.fullmatch(name)
    return match is not None and (match['before'], match['stack']) == (before, stack)


def _depths(wanted: Mapping[str, Shape]) -> dict[str, int]:
    """Number of layers of each stack that has one subtree a layer."""
    depths: dict[str, int] = {}
    for name in wanted:
        if match := ONE_LAYER.fullmatch(name):
            stack = match['before'] + match['stack']
            depths[stack] = max(depths.get(stack, 0), int(match['layer']) + 1)
    return depths
