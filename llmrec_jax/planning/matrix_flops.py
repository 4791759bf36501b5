"""FLOPs of matrix multiplications and convolutions; a TPU's compiler writes the former as the latter."""

import functools
import re

import numpy as np

from llmrec_jax.planning.hlo_text import ArrayShape, Instruction


def dot_flops(instruction: Instruction, lhs: ArrayShape) -> int:
    """FLOPs of a `dot`: two for each element of the result and each contracted element."""
    contracted = re.search(r'lhs_contracting_dims=\{([\d,]*)\}', instruction.attributes)
    axes = [int(axis) for axis in contracted[1].split(',') if axis] if contracted else []
    depth = int(np.prod([lhs.dims[axis] for axis in axes], dtype=np.int64))
    return 2 * instruction.shapes[0].elements * depth


def convolution_flops(instruction: Instruction, lhs: ArrayShape, rhs: ArrayShape) -> int:
    """FLOPs of a `convolution`, products with padding or between dilated elements left out.

    A TPU's compiler makes the batch of a batched matrix product a spatial dimension of which a window meets
    one element; counting the window's size instead would multiply the work by the batch.
    """
    labels = instruction.attribute('dim_labels')
    lhs_labels, rhs_labels, out_labels = re.fullmatch(r'(\w+)_(\w+)->(\w+)', labels).groups()
    result = instruction.shapes[0]
    work = result.dims[out_labels.index('b')] * result.dims[out_labels.index('f')]
    work *= rhs.dims[rhs_labels.index('i')]
    spatial = sum(label.isdigit() for label in lhs_labels)
    window = _window(instruction.attributes, spatial)
    for axis in range(spatial):
        label = str(axis)
        work *= meeting_positions(
            result.dims[out_labels.index(label)],
            rhs.dims[rhs_labels.index(label)],
            lhs.dims[lhs_labels.index(label)],
            *(window[part][axis] for part in ('stride', 'pad', 'lhs_dilate', 'rhs_dilate')),
        )
    return 2 * work


@functools.lru_cache(maxsize=1024)
def meeting_positions(
    outputs: int, window: int, inputs: int, stride: int, pad: int, lhs_dilate: int, rhs_dilate: int
) -> int:
    """In one dimension, how many pairs of output and window position meet an element of the input."""
    positions = np.arange(outputs)[:, None] * stride + np.arange(window)[None, :] * rhs_dilate - pad
    inside = (positions >= 0) & (positions <= (inputs - 1) * lhs_dilate)
    return int((inside & (positions % lhs_dilate == 0)).sum())


def _window(attributes: str, spatial: int) -> dict[str, list[int]]:
    """Stride, low padding and dilations of each spatial dimension."""
    found = re.search(r'window=\{([^}]*)\}', attributes)
    fields = dict(part.split('=') for part in found[1].split()) if found else {}
    parts = {'stride': 1, 'pad': 0, 'lhs_dilate': 1, 'rhs_dilate': 1}
    return {
        part: [int(size.split('_')[0]) for size in fields[part].split('x')]
        if part in fields
        else [default] * spatial
        for part, default in parts.items()
    }
