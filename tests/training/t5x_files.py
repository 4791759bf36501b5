"""Writes checkpoints in T5X's first layout, as `t5x.checkpoints.Checkpointer` does, without T5X."""

import pathlib

import numpy as np
import tensorstore as ts
from flax import serialization, traverse_util

SMALL = 1  # T5X leaves arrays that are not partitioned in the msgpack file.


def write_t5x(
    folder: pathlib.Path,
    params: dict,
    param_states: dict | None = None,
    *,
    step: int = 1000,
    driver: str = 'file',
    rows_per_chunk: int | None = None,
    dtype: str = 'float32',
    version: int = 3,
) -> pathlib.Path:
    """Writes `params`, with every array that has an axis in a zarr store of its own.

    Args:
      folder: `checkpoint_<step>`.
      params: the parameters.
      param_states: the optimizer's state, as T5X's state dictionary.
      step: of the checkpoint.
      driver: 'file', or 'gcs' for a specification as T5X writes it to a bucket.
      rows_per_chunk: of each array; None for a single chunk.
      dtype: that parameters are stored with.
      version: of the layout.
    """
    tree = {'target': params, 'state': {'step': np.int32(step), 'param_states': param_states or {}}}
    written = {}
    for path, leaf in traverse_util.flatten_dict(tree).items():
        leaf = np.asarray(leaf)
        written[path] = leaf
        if leaf.ndim >= SMALL:
            name = '.'.join(path)
            chunks = [rows_per_chunk or leaf.shape[0], *leaf.shape[1:]]
            spec = {
                'driver': 'zarr',
                'dtype': dtype if path[0] == 'target' else leaf.dtype.name,
                'metadata': {'compressor': {'id': 'gzip'}, 'shape': list(leaf.shape), 'chunks': chunks},
            }
            there = {'driver': 'file', 'path': str(folder / name)}
            store = ts.open({**spec, 'kvstore': there}, create=True).result()
            store.write(leaf.astype(store.dtype.numpy_dtype)).result()
            kvstore = {'driver': driver, 'path': name + '/'}
            if driver == 'gcs':
                kvstore['bucket'] = 't5x-dummy-bucket'
            written[path] = {**spec, 'kvstore': kvstore}
    contents = {'version': version, 'optimizer': traverse_util.unflatten_dict(written)}
    (folder / 'checkpoint').write_bytes(serialization.msgpack_serialize(contents))
    return folder
