import numpy as np
import pytest

from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape
from llmrec_jax.training.validation_loss import ValidationLoss
from tests.drawn_parameters import drawn
from tests.training.small_model import SmallModel, examples

LENGTHS = {'inputs': 12, 'targets': 2}
MODEL = SmallModel(dropout=0.5)


@pytest.fixture(scope='module')
def columns(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp('columns') / 'store', examples(45), {}, num_shards=3)


@pytest.mark.parametrize('shape', [MeshShape(data=1), MeshShape(data=4, model=2)], ids=['one', 'eight'])
def test_every_example_counts_once_whatever_the_batch_and_the_mesh(columns, shape):
    whole = MODEL.convert_features(columns.batch(np.arange(45), LENGTHS))
    shapes = {name: array.shape for name, array in whole.items()}
    params = drawn(MODEL, shapes)
    loss, weight, metrics = MODEL.loss_sums(params, whole, None)
    batches = Batches(columns, 32, LENGTHS, 2, (4, 8))
    found = ValidationLoss(MODEL, batches, shape.build(), STANDARD_RULES)(params, step=7)
    expected = {'loss': float(loss / weight), 'accuracy': float(metrics['accuracy'] / weight)}
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_batch_that_does_not_divide_over_the_mesh_is_an_error(columns):
    batches = Batches(columns, 9, LENGTHS)
    with pytest.raises(ValueError, match='9 examples a microbatch cannot be shared among 4'):
        ValidationLoss(MODEL, batches, MeshShape(data=4, model=2).build(), STANDARD_RULES)
