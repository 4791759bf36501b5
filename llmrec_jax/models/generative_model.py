"""What models that write token by token share: the loss of their targets, and what they are asked for."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmrec_jax.models.inference import DecodeFn, GenerativeInference, TextDecoder
from llmrec_jax.models.losses import (
    LOSS_NORMALIZING_FACTORS,
    loss_normalizer,
    token_cross_entropy,
    token_weights,
)
from llmrec_jax.models.model_protocol import Batch, Key, Params, SummedLossModel, as_arrays
from llmrec_jax.models.ranked_catalogue import REMOVED, check_seen_items


class GenerativeModel(GenerativeInference, SummedLossModel):
    """An encoder-decoder or a decoder alone; whoever holds one need not ask which.

    Subclasses are frozen dataclasses with the fields below, and have `compute_logits`, `convert_features`,
    `get_initial_variables`, `train_flops` and what `GenerativeInference` asks for.
    """

    label_smoothing: float
    z_loss: float
    # Only an encoder-decoder may number the words of its inputs.
    whole_words: Any = None

    @abc.abstractmethod
    def compute_logits(
        self, params: Params, batch: Batch, dropout_rng: Key | None = None, *, inference: bool = False
    ) -> Float[Array, 'batch length vocab']:
        """Teacher-forced logits of the targets.

        Args:
          params: the network's parameters.
          batch: the model's features.
          dropout_rng: dropout is on where there is a key for it.
          inference: whether the network is to read what it reads when it is asked, where that differs.
        """

    @abc.abstractmethod
    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What `FEATURE_CONVERTER_CLS` makes of a padded batch, without TensorFlow."""

    @abc.abstractmethod
    def read_flops(self, rows: int, input_length: int) -> int:
        """Model FLOPs of `read` of rows of so many input tokens."""

    @abc.abstractmethod
    def step_flops(self, input_length: int, steps: int) -> int:
        """Model FLOPs of one token of `decode` behind so many input tokens, with a cache of `steps`."""

    @abc.abstractmethod
    def flops_formula(self) -> str:
        """What `train_flops` is, in words and weights."""

    def trained_part(self) -> 'GenerativeModel':
        """What of the model decides the trained parameters: how it is decoded does not."""
        return dataclasses.replace(self, decode_fn=None)

    def loss_terms(
        self, params: Params, batch: Batch, dropout_rng: Key | None = None, *, inference: bool = False
    ) -> tuple[Float[Array, 'batch length vocab'], dict[str, Array]]:
        """Logits of the tokens that the loss is of, and those tokens' features; see `compute_logits`."""
        return self.compute_logits(params, batch, dropout_rng, inference=inference), dict(batch)

    def loss_sums(
        self, params: Params, batch: Batch, dropout_rng: Key | None = None
    ) -> tuple[Float[Array, ''], Float[Array, ''], dict[str, Float[Array, '']]]:
        """Sums over the batch's target tokens: adding those of microbatches gives those of the batch.

        Returns:
          The weighted loss in nats, z-loss included; the sum of weights; and further weighted sums
          ('accuracy', 'cross_entropy', 'z_loss'), each to be divided by the sum of weights.
        """
        logits, batch = self.loss_terms(params, as_arrays(batch), dropout_rng)
        targets = batch['decoder_target_tokens']
        weights = token_weights(batch, self.loss_normalizing_factor)
        cross_entropy, z_loss = token_cross_entropy(logits, targets, self.label_smoothing, self.z_loss)
        correct = jnp.argmax(logits, axis=-1) == targets
        sums = {
            'accuracy': jnp.sum(correct * weights),
            'cross_entropy': jnp.sum(cross_entropy * weights),
            'z_loss': jnp.sum(z_loss * weights),
        }
        return sums['cross_entropy'] + sums['z_loss'], jnp.sum(weights), sums

    def loss_normalizer(self, batch: Batch, weight: Float[Array, '']) -> Float[Array, ''] | float:
        """What `loss_fn` divides a batch's summed loss by."""
        del weight
        weights = token_weights(as_arrays(batch), self.loss_normalizing_factor)
        return loss_normalizer(weights, self.loss_normalizing_factor)

    def score_batch(self, params: Params, batch: Batch) -> Float[Array, 'batch']:
        """Log-probability of each row's targets, in nats; neither smoothing nor z-loss enters."""
        logits, batch = self.loss_terms(params, as_arrays(batch), inference=True)
        cross_entropy, _ = token_cross_entropy(logits, batch['decoder_target_tokens'])
        return -jnp.sum(cross_entropy * token_weights(batch, None), axis=-1)


def check_generative(
    model: str,
    decode_fn: DecodeFn | None,
    label_smoothing: float,
    seen_items: str,
    loss_normalizing_factor: float | int | str | None,
) -> None:
    """Checks the fields that every generative model has.

    Raises:
      ValueError: for an unknown normalizing factor, a smoothing outside [0, 1), or seen items to be removed
        from texts.
    """
    factor = loss_normalizing_factor
    if isinstance(factor, str) and factor not in LOSS_NORMALIZING_FACTORS:
        raise ValueError(
            f'loss_normalizing_factor must be a number or one of {LOSS_NORMALIZING_FACTORS}, not {factor!r}'
        )
    if not 0 <= label_smoothing < 1:
        raise ValueError(f'label_smoothing must be in [0, 1), not {label_smoothing}')
    check_seen_items(model, seen_items)
    if seen_items == REMOVED and isinstance(decode_fn, TextDecoder):
        raise ValueError(
            f'{model}.seen_items={REMOVED!r} acts on a search over the catalogue; '
            f'{type(decode_fn).__name__} writes texts'
        )


def check_tokens(task_batch: Mapping[str, Any], vocab_size: int) -> None:
    """Checks that a batch's tokens are in the vocabulary, which the network would not notice.

    Raises:
      ValueError: when one is not.
    """
    for feature in ('inputs', 'targets'):
        tokens = task_batch.get(feature, np.zeros(0))
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < vocab_size:
            raise ValueError(
                f'{feature!r} holds tokens from {tokens.min()} to {tokens.max()}, but the model has a '
                f'vocabulary of {vocab_size}: was it made with another token layout?'
            )
