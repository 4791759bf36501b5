"""Two processes restore one checkpoint into one sharded network, each reading its own part."""

import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.training.t5x_files import write_t5x

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = """
import sys
import jax, numpy as np
address, index, checkpoint = sys.argv[1], int(sys.argv[2]), sys.argv[3]
jax.distributed.initialize(address, 2, index)
from jax.sharding import NamedSharding, PartitionSpec
from llmrec_jax.training import stored_arrays
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.parameter_restore import restore_params

read = []
whole = stored_arrays.ZarrArray.read
def counted(self, index):
    part = whole(self, index)
    read.append(part.size)
    return part
stored_arrays.ZarrArray.read = counted

sharding = NamedSharding(MeshShape(data=2, model=2).build(), PartitionSpec('data', 'model'))
stacked = NamedSharding(sharding.mesh, PartitionSpec(None, 'data', 'model'))
abstract = {
    'net': {'w': jax.ShapeDtypeStruct((8, 6), np.float32, sharding=sharding)},
    'encoder': {'layers': {'k': jax.ShapeDtypeStruct((2, 8, 6), np.float32, sharding=stacked)}},
}
restored = restore_params(checkpoint, abstract)
expected = np.arange(48, dtype=np.float32).reshape(8, 6)
for shard in restored['net']['w'].addressable_shards:
    np.testing.assert_array_equal(shard.data, expected[shard.index])
for shard in restored['encoder']['layers']['k'].addressable_shards:
    np.testing.assert_array_equal(shard.data, np.stack([expected + 1, expected + 2])[shard.index])
print('elements read:', sum(read))
"""


@pytest.mark.slow
def test_each_process_reads_its_own_half_once(tmp_path):
    values = np.arange(48, dtype=np.float32).reshape(8, 6)
    layers = {f'layers_{layer}': {'k': values + 1 + layer} for layer in range(2)}
    checkpoint = write_t5x(tmp_path / 'checkpoint_1', {'net': {'w': values}, 'encoder': layers})
    with socket.socket() as port:
        port.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{port.getsockname()[1]}'
    environment = {
        **os.environ,
        'JAX_PLATFORMS': 'cpu',
        'XLA_FLAGS': '--xla_force_host_platform_device_count=2',
        'PYTHONPATH': f'{ROOT}:{os.environ.get("PYTHONPATH", "")}',
    }
    running = [
        subprocess.Popen(
            [sys.executable, '-c', PROGRAM, address, str(index), str(checkpoint)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    for process in running:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert 'elements read: 72' in output
