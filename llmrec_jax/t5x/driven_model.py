"""What any model of ours is given before T5X trains it."""

import dataclasses
import logging

from llmrec_jax.models.generative_model import GenerativeModel
from llmrec_jax.models.model_protocol import SummedLossModel
from llmrec_jax.t5x import optimizer
from llmrec_jax.training.train_state import PARAMETERS
from llmrec_jax.training.trainer import Trainer

LOG = logging.getLogger(__name__)


def trainable(model: GenerativeModel, trainer: Trainer) -> GenerativeModel:
    """The model with the trainer's optimizer, and with the loss that the embedded engine minimises.

    T5X's default is the sum over a batch's tokens, which makes the step depend on the batch's size; the
    embedded engine divides by the sum of weights, and so does this where the model does not say otherwise.
    What the trainer asks for and T5X cannot do is logged as a warning.
    """
    for request in not_honoured(model, trainer):
        LOG.warning('under T5X, %s', request)
    return dataclasses.replace(
        model,
        optimizer_def=optimizer.wrap(trainer.optimizer),
        loss_normalizing_factor=model.loss_normalizing_factor or 'NUM_REAL_TARGET_TOKENS',
    )


def not_honoured(model: SummedLossModel, trainer: Trainer) -> list[str]:
    """What this trainer does for a model under the embedded engine and T5X does not, a sentence each."""
    sentences = []
    if trainer.optimizer_sharding != PARAMETERS:
        sentences.append(
            f'optimizer_sharding={trainer.optimizer_sharding!r} has no effect: moments lie as their '
            "parameters do; logical_axis_rules='fsdp' shares both"
        )
    if trainer.early_stopping is not None:
        sentences.append('early_stopping has no effect: all steps are made')
    if trainer.microbatches > 1:
        contrasted = (
            f', so that an example is contrasted with those of {trainer.batch_size}, not of '
            f'{trainer.batch_size // trainer.microbatches}'
        )
        sentences.append(
            f'microbatches={trainer.microbatches} has no effect: a step takes the whole batch at full length'
            + (contrasted if model.in_batch_loss else '')
        )
    if trainer.fresh_parameters:
        sentences.append(
            f'fresh_parameters={trainer.fresh_parameters} has no effect: what the checkpoint lacks is drawn'
        )
    return sentences
