import jax
import pytest

from llmrec_jax.training.platforms import leave_out_absent_tpu


@pytest.fixture(autouse=True)
def _platforms():
    before = jax.config.jax_platforms
    jax.config.update('jax_platforms', None)
    yield
    jax.config.update('jax_platforms', before)


def only(*names):
    return lambda name: name in names


def test_an_absent_tpu_is_left_out(tmp_path):
    assert leave_out_absent_tpu({}, tmp_path, only('libtpu'))
    assert jax.config.jax_platforms == 'cpu'


@pytest.mark.parametrize('device', ['accel0', 'vfio/0'])
def test_a_tpu_is_looked_for(device, tmp_path):
    (tmp_path / device).parent.mkdir(exist_ok=True)
    (tmp_path / device).touch()
    assert not leave_out_absent_tpu({}, tmp_path, only('libtpu'))
    assert jax.config.jax_platforms is None


@pytest.mark.parametrize(
    ('environment', 'installed'),
    [({'JAX_PLATFORMS': 'tpu'}, ['libtpu']), ({}, ['libtpu', 'jax_cuda13_plugin']), ({}, [])],
    ids=['as the user says', 'GPU', 'no library'],
)
def test_what_else_stays_as_it_is(environment, installed, tmp_path):
    assert not leave_out_absent_tpu(environment, tmp_path, only(*installed))
    assert jax.config.jax_platforms is None
