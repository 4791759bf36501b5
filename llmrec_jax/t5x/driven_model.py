"""What any model of ours is given before T5X trains it."""

import dataclasses

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.t5x import optimizer
from llmrec_jax.training.trainer import Trainer


def trainable(model: EncoderDecoderModel, trainer: Trainer) -> EncoderDecoderModel:
    """The model with the trainer's optimizer, and with the loss that the embedded engine minimises.

    T5X's default is the sum over a batch's tokens, which makes the step depend on the batch's size; the
    embedded engine divides by the sum of weights, and so does this where the model does not say otherwise.
    """
    return dataclasses.replace(
        model,
        optimizer_def=optimizer.wrap(trainer.optimizer),
        loss_normalizing_factor=model.loss_normalizing_factor or 'NUM_REAL_TARGET_TOKENS',
    )
