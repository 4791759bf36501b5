import dataclasses
import re

import pytest

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.training.early_stopping import EarlyStopping
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer

pytest.importorskip('t5x')


class Contrasting(EncoderDecoderModel):
    in_batch_loss = True


NETWORK = Transformer(T5Config(vocab_size=8))
TRAINER = Trainer(steps=1, feature_lengths={'inputs': 4, 'targets': 2}, optimizer=AdamW(Constant(1e-3)))


def test_a_trainer_that_asks_for_nothing_special_is_honoured():
    from llmrec_jax.t5x.driven_model import not_honoured

    assert not_honoured(EncoderDecoderModel(NETWORK), TRAINER) == []


@pytest.mark.parametrize(
    'field',
    [
        {'optimizer_sharding': 'data'},
        {'early_stopping': EarlyStopping()},
        {'microbatches': 4},
        {'trained': ('.*/lora_[ab]',)},
        {'fresh_parameters': ('encoder',)},
    ],
)
def test_what_t5x_cannot_do_is_named(field):
    from llmrec_jax.t5x.driven_model import not_honoured

    (sentence,) = not_honoured(EncoderDecoderModel(NETWORK), dataclasses.replace(TRAINER, **field))
    assert next(iter(field)) in sentence


def test_where_examples_are_one_anothers_negatives_their_number_is_named():
    from llmrec_jax.t5x.driven_model import not_honoured

    (sentence,) = not_honoured(Contrasting(NETWORK), dataclasses.replace(TRAINER, microbatches=4))
    assert {'256', '64'} <= set(re.findall(r'\d+', sentence))
