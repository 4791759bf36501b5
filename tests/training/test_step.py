import dataclasses

import jax
import numpy as np
import pytest

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.metrics_log import read_json_lines
from llmrec_jax.training.optimizers import Adafactor, AdamW
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer
from tests.training.small_model import VOCABULARY, SmallModel, examples

ONE_DEVICE = MeshShape(data=1)
BASE = Trainer(
    steps=4,
    feature_lengths={'inputs': 12, 'targets': 2},
    optimizer=AdamW(Constant(0.01)),
    batch_size=32,
    mesh=ONE_DEVICE,
    log_every=1,
)


def t5(dropout_rate=0.0):
    config = T5Config(VOCABULARY, 8, 2, 4, 16, 1, 1, dropout_rate=dropout_rate)
    return EncoderDecoderModel(Transformer(config))


@pytest.fixture(scope='module')
def columns(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp('columns') / 'store', examples(), {})


@pytest.fixture
def train(columns, tmp_path_factory):
    """Trains from `BASE` with changes; gives the rows of the log and the final parameters."""

    def run(model, **changes):
        workdir = tmp_path_factory.mktemp('workdir')
        result = dataclasses.replace(BASE, **changes).fit(model, columns, workdir)
        return read_json_lines(workdir / 'metrics.jsonl'), load_params(result.checkpoint)

    return run


def assert_same_training(one, other, rtol=2e-5):
    for left, right in zip(one[0], other[0], strict=True):
        for name in ('loss', 'accuracy', 'grad_norm'):
            np.testing.assert_allclose(left[name], right[name], rtol=rtol, err_msg=name)
    jax.tree.map(lambda left, right: np.testing.assert_allclose(left, right, atol=2e-5), one[1], other[1])


@pytest.mark.parametrize(
    ('model', 'buckets'),
    [
        pytest.param(SmallModel(), (3, 6, 9), id='small'),
        pytest.param(t5(), (6,), id='t5', marks=pytest.mark.slow),
    ],
)
def test_buckets_and_microbatches_make_the_update_of_the_padded_batch(train, model, buckets):
    padded = train(model)
    assert_same_training(padded, train(model, microbatches=4, length_buckets=buckets))


@pytest.mark.parametrize(
    ('model', 'optimizer'),
    [
        (SmallModel(), Adafactor(Constant(0.01), min_dim_size_to_factor=8)),
        pytest.param(t5(dropout_rate=0.3), AdamW(Constant(0.01)), marks=pytest.mark.smoke),
    ],
    ids=['small', 't5'],
)
def test_eight_devices_make_the_update_of_one_dropout_included(train, model, optimizer):
    changes = {'optimizer': optimizer, 'microbatches': 2}
    alone = train(model, **changes)
    assert_same_training(alone, train(model, **changes, mesh=MeshShape(data=4, model=2)), rtol=1e-4)


def test_dropout_differs_between_steps_and_microbatches(tmp_path, train):
    model = SmallModel(dropout=0.5)
    same_examples = write_columns(
        tmp_path / 'store', {'inputs': [[3, 4, 5]] * 8, 'targets': [[6, 7]] * 8}, {}
    )
    still = dataclasses.replace(
        BASE,
        batch_size=8,
        steps=3,
        optimizer=AdamW(Constant(0.0)),
        feature_lengths={'inputs': 3, 'targets': 2},
    )

    def losses(**changes):
        workdir = tmp_path / repr(sorted(changes))
        dataclasses.replace(still, **changes).fit(model, same_examples, workdir)
        return [row['loss'] for row in read_json_lines(workdir / 'metrics.jsonl')]

    one = losses()
    assert len(set(one)) == 3
    # With one mask for all microbatches, eight alike would lose what one does.
    assert losses(microbatches=8) != losses(batch_size=1)
    assert losses(seed=1) != one
    assert losses(dropout_bits='unsafe_rbg') != one


def test_the_loss_of_the_first_step_is_the_models_own(train, columns):
    model = SmallModel()
    rows, _ = train(model, steps=1, batch_size=240)
    batch = model.convert_features(columns.batch(np.arange(240), BASE.feature_lengths))
    shapes = {name: array.shape for name, array in batch.items()}
    params = model.get_initial_variables(jax.random.key(0), shapes)['params']
    loss, weight, sums = model.loss_sums(params, batch, None)
    np.testing.assert_allclose(rows[0]['loss'], loss / weight, rtol=1e-5)
    np.testing.assert_allclose(rows[0]['accuracy'], sums['accuracy'] / weight, rtol=1e-5)
