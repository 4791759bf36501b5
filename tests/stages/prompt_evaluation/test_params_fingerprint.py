import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.stages.prompt_evaluation.params_fingerprint import params_fingerprint


def params(dtype=jnp.float32):
    values = np.random.default_rng(0).standard_normal((16, 24))
    return {'encoder': {'kernel': jnp.asarray(values, dtype)}, 'scale': jnp.ones(8, dtype)}


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_sharding_changes_nothing(dtype):
    mesh = jax.make_mesh((4, 2), ('data', 'model'))
    spread = jax.device_put(
        params(dtype)['encoder']['kernel'], NamedSharding(mesh, PartitionSpec('data', 'model'))
    )
    sharded = {**params(dtype), 'encoder': {'kernel': spread}}
    assert params_fingerprint(sharded) == params_fingerprint(params(dtype))


def test_one_changed_value_changes_it():
    changed = params()
    kernel = changed['encoder']['kernel']
    swapped = {**changed, 'encoder': {'kernel': kernel[::-1]}}
    nudged = {
        **changed,
        'encoder': {'kernel': kernel.at[7, 3].set(np.nextafter(kernel[7, 3], np.float32(9)))},
    }
    renamed = {'decoder': changed['encoder'], 'scale': changed['scale']}
    reshaped = {**changed, 'encoder': {'kernel': kernel.reshape(24, 16)}}
    found = {params_fingerprint(one) for one in (changed, swapped, nudged, renamed, reshaped)}
    assert len(found) == 5
