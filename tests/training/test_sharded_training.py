"""Parameters, gradients and optimizer state shared over devices: the same training, less memory on each."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.mesh import FSDP_RULES, STANDARD_RULES, MeshShape, batch_sharding
from llmrec_jax.training.metrics_log import read_json_lines
from llmrec_jax.training.optimizers import Adafactor, AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.step import lower_step
from llmrec_jax.training.train_state import abstract_state, initial_state
from llmrec_jax.training.trainer import Trainer
from tests.training.small_model import VOCABULARY, examples

ADAMW = AdamW(Constant(0.01), weight_decay=0.1)
ADAFACTOR = Adafactor(Constant(0.01), min_dim_size_to_factor=8)
BASE = Trainer(
    steps=3, feature_lengths={'inputs': 12, 'targets': 2}, optimizer=ADAMW, batch_size=32, log_every=1
)
EIGHT = MeshShape(data=4, model=2)
FSDP = {'mesh': EIGHT, 'logical_axis_rules': 'fsdp'}
ZERO = {'mesh': EIGHT, 'optimizer_sharding': 'data'}


def t5(scan_layers=True, depth=2, **changes):
    config = T5Config(VOCABULARY, 16, 2, 4, 16, depth, depth, scan_layers=scan_layers, **changes)
    return EncoderDecoderModel(Transformer(config))


@pytest.mark.parametrize(
    ('scan_layers', 'optimizer', 'microbatches', 'dropout_rate'),
    [
        # Dropout is a third of what is compiled; test_step holds that it is the same over eight devices.
        (False, ADAMW, 1, 0.0),
        pytest.param(True, ADAMW, 1, 0.0, marks=pytest.mark.slow),
        pytest.param(True, ADAMW, 1, 0.1, marks=pytest.mark.slow),
        pytest.param(False, ADAFACTOR, 2, 0.1, marks=pytest.mark.slow),
        pytest.param(True, ADAFACTOR, 2, 0.1, marks=pytest.mark.slow),
        pytest.param(False, ADAMW, 1, 0.1, marks=pytest.mark.slow),
    ],
)
@pytest.mark.smoke
def test_shared_parameters_and_shared_moments_train_as_one_device(
    tmp_path, scan_layers, optimizer, microbatches, dropout_rate
):
    columns = write_columns(tmp_path / 'store', examples(), {})

    def losses(name, **changes):
        trainer = dataclasses.replace(BASE, optimizer=optimizer, microbatches=microbatches, **changes)
        trainer.fit(t5(scan_layers, dropout_rate=dropout_rate), columns, tmp_path / name)
        return [row['loss'] for row in read_json_lines(tmp_path / name / 'metrics.jsonl')]

    alone = losses('alone', mesh=MeshShape(data=1))
    assert len(set(alone)) == 3
    np.testing.assert_allclose(losses('fsdp', **FSDP), alone, rtol=1e-5)
    np.testing.assert_allclose(losses('zero', **ZERO), alone, rtol=1e-5)


def made(rules=STANDARD_RULES, optimizer_sharding='parameters', microbatches=1):
    """The lowered step, and the initial state on the devices."""
    mesh, model, optimizer = EIGHT.build(), t5(dropout_rate=0.0), ADAMW.build()
    placement = batch_sharding(mesh, rules)
    features = {
        name: jax.ShapeDtypeStruct((8, length), jnp.int32, sharding=placement)
        for name, length in {
            'encoder_input_tokens': 12,
            'decoder_input_tokens': 2,
            'decoder_target_tokens': 2,
            'decoder_loss_weights': 2,
        }.items()
    }
    abstract = abstract_state(model, optimizer, features, mesh, rules, optimizer_sharding)
    with jax.set_mesh(mesh):
        lowered = lower_step(
            model,
            optimizer,
            abstract,
            {12: features},
            rules,
            0,
            'threefry2x32',
            microbatches=microbatches,
            optimizer_sharding=optimizer_sharding,
        )
        return lowered, initial_state(model, optimizer, features, 0, abstract, rules)


def bytes_of_a_device(tree):
    return sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(tree))


def test_the_lowered_step_shares_parameters_over_data_and_model():
    lowered, state = made(FSDP_RULES)
    # The embedding, its two moments and the output head, which lies the other way round.
    arguments = lowered.named()['update_12'].as_text()
    arguments = arguments[arguments.index('@main') :].split(' -> ', 1)[0]
    tables = re.findall(r'tensor<32x16xf32> {[^%]*sdy.sharding = #sdy.sharding<@mesh, ([^>]*)>', arguments)
    heads = re.findall(r'tensor<16x32xf32> {[^%]*sdy.sharding = #sdy.sharding<@mesh, ([^>]*)>', arguments)
    assert tables == ['[{"model"}, {"data"}]'] * 3
    assert heads == ['[{"data"}, {"model"}]'] * 3
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert bytes_of_a_device(state) < whole / 7


@pytest.mark.smoke
def test_shared_moments_take_a_quarter_of_the_memory_and_so_do_summed_gradients():
    plain, zero = made(), made(optimizer_sharding='data', microbatches=2)
    assert bytes_of_a_device(zero[1].params) == bytes_of_a_device(plain[1].params)
    assert bytes_of_a_device(zero[1].opt_state) < 0.3 * bytes_of_a_device(plain[1].opt_state)
    gradients = zero[0].zero.compile()().gradients
    assert bytes_of_a_device(gradients) < 0.3 * bytes_of_a_device(plain[1].params)


def test_names_that_do_not_exist_are_errors():
    with pytest.raises(ValueError, match="logical_axis_rules='zero' must be rules or one of standard, fsdp"):
        dataclasses.replace(BASE, logical_axis_rules='zero')
    with pytest.raises(ValueError, match="optimizer_sharding='all' must be one of parameters, data"):
        dataclasses.replace(BASE, optimizer_sharding='all')


@pytest.mark.slow
def test_bfloat16_learns_as_float32_does(tmp_path):
    columns = write_columns(tmp_path / 'store', examples(), {})

    def losses(dtype):
        trainer = dataclasses.replace(BASE, steps=40, mesh=MeshShape(data=1))
        trainer.fit(t5(False, 1, dtype=dtype, dropout_rate=0.0), columns, tmp_path / dtype)
        return np.array([row['loss'] for row in read_json_lines(tmp_path / dtype / 'metrics.jsonl')])

    rounded, exact = losses('bfloat16'), losses('float32')
    assert rounded[-5:].mean() < 0.8 * rounded[0]
    assert np.abs(rounded - exact).max() > 0
    np.testing.assert_allclose(rounded[-5:].mean(), exact[-5:].mean(), rtol=0.03)
