import numpy as np
import pytest

from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import write_columns
from tests.t5x.registered_models import LENGTHS, REGISTERED

pytest.importorskip('t5x')


@pytest.fixture
def batches(tmp_path):
    task = REGISTERED['EncoderDecoderModel'].task_batch(0, 20)
    rows = {name: [row[row > 0] for row in tokens] for name, tokens in task.items()}
    return Batches(write_columns(tmp_path / 'store', rows, {}), 8, LENGTHS, seed=3)


def test_hosts_share_the_embedded_engine_s_batches_and_resume_anywhere(batches, tmp_path):
    from llmrec_jax.t5x.store_batches import StoreIterator

    model = REGISTERED['EncoderDecoderModel'].make()
    hosts = [StoreIterator(batches, model, 1, slice(start, start + 4)) for start in (0, 4)]
    parts = [next(host) for host in hosts]
    (whole,) = batches.batch(1)
    for name, expected in model.convert_features(whole.features).items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), expected)
        spec = hosts[0].element_spec[name]
        assert (spec.shape, spec.dtype) == (parts[0][name].shape, parts[0][name].dtype)

    hosts[0].save(tmp_path / 'position')
    following = next(hosts[0])
    other = StoreIterator(batches, model, 0, slice(0, 4))
    other.restore(tmp_path / 'position')
    for name, expected in next(other).items():
        np.testing.assert_array_equal(following[name], expected)
