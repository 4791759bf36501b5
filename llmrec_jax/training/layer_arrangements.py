"""Finds the parameters of a T5 network in a checkpoint that arranges its layers in another way.

| arrangement | who | a parameter of an encoder layer |
|---|---|---|
| one subtree a layer | T5X's T5, the public checkpoints, ours | `encoder/layers_3/attention/query/kernel` |
| stacked, layers first | ours with `scan_layers` | `encoder/layers/attention/query/kernel` |
| scanned by T5X, layers second | T5X's scalable T5 | `encoder/encoder/attention/query/kernel` |

The same holds of an optimizer's moments, whose paths end in those of their parameters. Nothing is copied
here: an array is a view that reads the slices it is asked for.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

import numpy as np

from llmrec_jax.training.checkpoint_errors import CheckpointError
from llmrec_jax.training.stored_arrays import Index, ReadableArray

SCANNED_AXIS = 1  # `param_scan_axis` of T5X's scalable networks.
BIAS = 'relpos_bias/rel_embedding'
STACKS = r'(?P<before>(?:.*/)?)(?P<stack>encoder|decoder)'
ONE_LAYER = re.compile(STACKS + r'/layers_(?P<layer>\d+)/(?P<rest>.+)')
ALL_LAYERS = re.compile(STACKS + r'/layers/(?P<rest>.+)')
SCANNED = re.compile(STACKS + r'/(?P=stack)/(?P<rest>.+)')
STACK_BIAS = re.compile(STACKS + '/' + BIAS)

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Where an array of the network comes from.

    Attributes:
      parts: names in the checkpoint and the shapes they must have there.
      layer: which layer of a stacked array it is; None for all.
      axis: which axis of a stacked array counts its layers; None where none is stacked.
      shared: whether the layers of a stacked array must all be equal, and one of them is what is wanted.
    """

    parts: Mapping[str, Shape]
    layer: int | None = None
    axis: int | None = None
    shared: bool = False

    def view(self, arrays: Mapping[str, ReadableArray]) -> ReadableArray:
        """The array, read from its parts.

        Raises:
          CheckpointError: when layers differ that must be equal.
        """
        found = [arrays[name] for name in self.parts]
        if self.shared:
            return _shared(next(iter(self.parts)), found[0], self.axis)
        if self.layer is not None:
            return LayerOf(found[0], self.layer, self.axis)
        if self.axis:
            return LayersFirst(found[0], self.axis)
        return found[0] if self.axis is None else Stacked(tuple(found))


def sources(wanted: Mapping[str, Shape], stored: Iterable[str]) -> dict[str, Source]:
    """For each array of the network, the arrays of the checkpoint that it is made of.

    Args:
      wanted: paths and shapes of the network's arrays.
      stored: paths in the checkpoint.
    """
    stored, depths = set(stored), _depths(wanted)
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
    axis: int

    @property
    def shape(self) -> Shape:
        """The shape of one layer."""
        return self.array.shape[: self.axis] + self.array.shape[self.axis + 1 :]

    @property
    def dtype(self) -> np.dtype:
        """That of the stack."""
        return self.array.dtype

    def read(self, index: Index) -> np.ndarray:
        """The part that `index` selects."""
        layer = slice(self.layer, self.layer + 1)
        whole = (*index[: self.axis], layer, *index[self.axis :])
        return self.array.read(whole).squeeze(self.axis)


@dataclasses.dataclass(frozen=True, eq=False)
class LayersFirst:
    """A stacked array whose layers lie along `axis`, with its layers first."""

    array: ReadableArray
    axis: int

    @property
    def shape(self) -> Shape:
        """Layers, then the shape of one."""
        shape = self.array.shape
        return (shape[self.axis], *shape[: self.axis], *shape[self.axis + 1 :])

    @property
    def dtype(self) -> np.dtype:
        """That of the stack."""
        return self.array.dtype

    def read(self, index: Index) -> np.ndarray:
        """The part that `index` selects."""
        there = (*index[1 : self.axis + 1], index[0], *index[self.axis + 1 :])
        return np.moveaxis(self.array.read(there), self.axis, 0)


def _source(name: str, shape: Shape, stored: set[str], depths: Mapping[str, int]) -> Source:
    same = Source({name: shape})
    if name in stored:
        return same
    if match := ALL_LAYERS.fullmatch(name):
        before, stack, rest = match['before'], match['stack'], match['rest']
        if any(_is_layer(other, before, stack) for other in stored):
            return Source(
                {f'{before}{stack}/layers_{layer}/{rest}': shape[1:] for layer in range(shape[0])}, axis=0
            )
        if (scanned := f'{before}{stack}/{stack}/{rest}') in stored:
            return Source({scanned: _with_layers(shape[1:], shape[0], SCANNED_AXIS)}, axis=SCANNED_AXIS)
    elif match := ONE_LAYER.fullmatch(name):
        before, stack, rest = match['before'], match['stack'], match['rest']
        layer, depth = int(match['layer']), depths[before + stack]
        for stacked, axis in ((f'{stack}/layers/{rest}', 0), (f'{stack}/{stack}/{rest}', SCANNED_AXIS)):
            if before + stacked in stored:
                return Source({before + stacked: _with_layers(shape, depth, axis)}, layer, axis)
    elif match := STACK_BIAS.fullmatch(name):
        scanned = f'{match["before"]}{match["stack"]}/{match["stack"]}/{BIAS}'
        if scanned in stored:
            depth = depths[match['before'] + match['stack']]
            return Source({scanned: _with_layers(shape, depth, SCANNED_AXIS)}, axis=SCANNED_AXIS, shared=True)
    return same


def _is_layer(name: str, before: str, stack: str) -> bool:
    match = ONE_LAYER.fullmatch(name)
    return match is not None and (match['before'], match['stack']) == (before, stack)


def _depths(wanted: Mapping[str, Shape]) -> dict[str, int]:
    """Number of layers of each stack of the network."""
    depths: dict[str, int] = {}
    for name, shape in wanted.items():
        if match := ALL_LAYERS.fullmatch(name):
            depths[match['before'] + match['stack']] = shape[0]
        elif match := ONE_LAYER.fullmatch(name):
            key = match['before'] + match['stack']
            depths[key] = max(depths.get(key, 0), int(match['layer']) + 1)
    return depths


def _with_layers(shape: Shape, depth: int, axis: int) -> Shape:
    return (*shape[:axis], depth, *shape[axis:])


def _shared(name: str, array: ReadableArray, axis: int) -> ReadableArray:
    whole = array.read(tuple(slice(None) for _ in array.shape))
    if not (whole == whole.take([0], axis)).all():
        raise CheckpointError(
            f"{name} differs from layer to layer, as in umT5 and T5X's scalable networks; ours shares "
            'one relative position bias among the layers of a stack, so it cannot take that checkpoint'
        )
    return LayerOf(array, 0, axis)
