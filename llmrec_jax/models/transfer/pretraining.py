"""Contrastive pre-training over sequences of several domains (UniSRec, section 2.2; VQ-Rec, section 3.3)."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int, Key, PyTree

from llmrec_jax.models.sequential.catalogue import CatalogueFacts
from llmrec_jax.models.sequential.item_encoder import PADDING, ItemEncoder
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.network import Scoring
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel, padded_left
from llmrec_jax.models.sequential.sequence_encoder import SequenceEncoder
from llmrec_jax.models.transfer.code_items import CodeItemEncoder
from llmrec_jax.models.transfer.code_negatives import semi_synthetic_codes
from llmrec_jax.models.transfer.contrastive import contrastive_losses
from llmrec_jax.models.transfer.text_items import TextItemEncoder
from llmrec_jax.models.transfer.views import drop_items

HISTORIES, TARGETS = 'histories', 'targets'


@dataclasses.dataclass(frozen=True)
class Contrasts:
    """What is contrasted with what.

    Attributes:
      temperature: tau.
      sequence_weight: of the sequence-sequence loss; 0 for none (VQ-Rec).
      item_drop: share of the items that a second view lacks.
      item_drop_share: share of the second views that lack items; the others have all items, by texts that
        lack words.
      replaced_codes: share of the codes that are drawn anew in the semi-synthetic item that each true one
        gives as a further negative; 0 for no such items.

    Raises:
      ValueError: when a number is out of its range.
    """

    temperature: float = 0.07
    sequence_weight: float = 1e-3
    item_drop: float = 0.2
    item_drop_share: float = 0.9
    replaced_codes: float = 0.0

    def __post_init__(self):
        if not self.temperature > 0 or not self.sequence_weight >= 0:
            raise ValueError(
                f'Contrasts.temperature={self.temperature} must be positive, and sequence_weight='
                f'{self.sequence_weight} 0 or more'
            )
        for name in ('item_drop', 'item_drop_share', 'replaced_codes'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'Contrasts.{name}={getattr(self, name)} must lie in [0, 1]')


class PretrainingNetwork(nn.Module):
    """The encoders under the names that `SequentialNetwork` has for them, and their contrastive losses.

    Attributes:
      item_encoder: from tokens to vectors.
      sequence_encoder: from vectors to states; the last state of a sequence stands for it.
      contrasts: what is contrasted.
    """

    item_encoder: ItemEncoder
    sequence_encoder: SequenceEncoder
    contrasts: Contrasts

    def __call__(
        self,
        histories: Int[Array, 'batch length'],
        targets: Int[Array, 'batch'],
        key: Key[Array, ''] | None,
    ) -> tuple[Float[Array, 'batch'], Float[Array, 'batch']]:
        """Losses of each row against items and against sequences, in nats; 0 where the target is padding.

        Args:
          histories: tokens, padded on the left.
          targets: the token after each history.
          key: of the second views and the semi-synthetic items; None for dropout off, no such items, and
            the whole history as its own second view.
        """
        contrasts, valid = self.contrasts, targets != PADDING
        states = self._states(self.item_encoder(histories), histories, key is not None)
        positives = self.item_encoder(targets)
        view_key, code_key = (None, None) if key is None else tuple(jax.random.split(key))
        negatives = None
        if contrasts.replaced_codes and code_key is not None:
            codes = self.item_encoder.codes_of(targets)
            drawn = semi_synthetic_codes(
                codes.astype(jnp.int32), code_key, self.item_encoder.codewords, contrasts.replaced_codes
            )
            negatives = self.item_encoder.of_codes(drawn.astype(codes.dtype))
        against_items = contrastive_losses(
            states, positives, targets, contrasts.temperature, negatives=negatives, valid=valid
        )
        if not contrasts.sequence_weight:
            return against_items, jnp.zeros_like(against_items)
        seconds = self._second_states(histories, view_key)
        against_sequences = contrastive_losses(states, seconds, targets, contrasts.temperature, valid=valid)
        return against_items, against_sequences

    def _second_states(
        self, histories: Int[Array, 'batch length'], key: Key[Array, ''] | None
    ) -> Float[Array, 'batch dim']:
        if key is None:
            return self._states(self.item_encoder(histories), histories, False)
        contrasts = self.contrasts
        drop_key, choice_key = jax.random.split(key)
        fewer = drop_items(histories, drop_key, contrasts.item_drop)
        if contrasts.item_drop_share == 1:
            return self._states(self.item_encoder(fewer), fewer, True)
        by_items = jax.random.bernoulli(choice_key, contrasts.item_drop_share, (len(histories), 1))
        tokens = jnp.where(by_items, fewer, histories)
        embedded = jnp.where(
            by_items[..., None], self.item_encoder(tokens), self.item_encoder.without_some_words(tokens)
        )
        return self._states(embedded, tokens, True)

    def _states(
        self,
        embedded: Float[Array, 'batch length dim'],
        tokens: Int[Array, 'batch length'],
        enable_dropout: bool,
    ) -> Float[Array, 'batch dim']:
        embedded = partitioning.with_sharding_constraint(embedded, ('batch', 'length', 'embed'))
        return self.sequence_encoder(embedded, tokens != PADDING, enable_dropout=enable_dropout)[:, -1]


@dataclasses.dataclass(frozen=True, eq=False)
class ContrastivePretraining:
    """Pre-training as the embedded engine drives it (`training.train_state.TrainableModel`).

    Every prefix of a sequence is an example, whose target is the item after it. The other rows of a
    microbatch, of whatever domain, are the negatives.

    Attributes:
      item_encoder: from items to vectors, without anything of its own for an item: that would not transfer.
      sequence_encoder: from the vectors of a history to states.
      contrasts: what is contrasted.

    Raises:
      ValueError: when the item encoder lacks what the contrasts need.
    """

    item_encoder: ItemEncoder
    sequence_encoder: SequenceEncoder
    contrasts: Contrasts = dataclasses.field(default_factory=Contrasts)

    def __post_init__(self):
        contrasts, items = self.contrasts, self.item_encoder
        if contrasts.replaced_codes and not isinstance(items, CodeItemEncoder):
            raise ValueError(
                f'Contrasts.replaced_codes={contrasts.replaced_codes} needs items that have codes, not a '
                f'{type(items).__name__}'
            )
        words = isinstance(items, TextItemEncoder) and items.word_drop
        if contrasts.sequence_weight and contrasts.item_drop_share < 1 and not words:
            raise ValueError(
                f'Contrasts.item_drop_share={contrasts.item_drop_share} leaves views that lack words: set '
                'TextItemEncoder.word_drop, or item_drop_share=1, or sequence_weight=0'
            )

    def for_catalogue(self, facts: CatalogueFacts) -> 'ContrastivePretraining':
        """The model of the catalogue of all domains."""
        return dataclasses.replace(self, item_encoder=self.item_encoder.for_catalogue(facts))

    @functools.cached_property
    def network(self) -> PretrainingNetwork:
        """The encoders and their losses as one linen module."""
        return PretrainingNetwork(self.item_encoder, self.sequence_encoder, self.contrasts)

    @property
    def recommender(self) -> SequentialRecommenderModel:
        """The same encoders as a recommender, which takes the same parameters."""
        scoring = Scoring(cosine=True, temperature=self.contrasts.temperature)
        return SequentialRecommenderModel(
            self.item_encoder, self.sequence_encoder, FullSoftmax(), scoring=scoring
        )

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Model features of a batch of the column store, which is padded on the right.

        Args:
          task_batch: 'histories' [batch, length] and 'targets' [batch, 1], as tokens.

        Returns:
          'histories' [batch, length], padded on the left, and 'targets' [batch]; int32.

        Raises:
          ValueError: when a token is of no item of the catalogue.
        """
        for feature in (HISTORIES, TARGETS):
            tokens = task_batch[feature]
            if tokens.size and not 0 <= tokens.min() <= tokens.max() <= self.item_encoder.n_items:
                raise ValueError(
                    f'{feature!r} holds tokens from {tokens.min()} to {tokens.max()}, but the catalogue has '
                    f'{self.item_encoder.n_items} items: were the examples made of other corpora?'
                )
        histories = np.asarray(task_batch[HISTORIES], np.int32)
        return {HISTORIES: padded_left(histories), TARGETS: np.asarray(task_batch[TARGETS], np.int32)[:, 0]}

    def get_initial_variables(
        self,
        rng: Key[Array, ''],
        input_shapes: Mapping[str, tuple[int, ...]],
        input_types: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """'params' and 'params_axes' (their logical axis names), whatever the shapes of batches."""
        del input_shapes, input_types
        return self.network.init(rng, jnp.ones((1, 2), jnp.int32), jnp.ones((1,), jnp.int32), None)

    def loss_sums(
        self, params: PyTree[Array], batch: Mapping[str, Array], dropout_rng: Key[Array, ''] | None = None
    ) -> tuple[Float[Array, ''], Float[Array, ''], dict[str, Float[Array, '']]]:
        """The summed loss, the number of rows, and the sums of its two parts.

        Args:
          params: the network's parameters.
          batch: what `convert_features` gave.
          dropout_rng: of dropout and of all that is drawn; dropout is off where there is none.
        """
        keys = None if dropout_rng is None else jax.random.split(dropout_rng)
        targets = jnp.asarray(batch[TARGETS])
        items, sequences = self.network.apply(
            {'params': params},
            jnp.asarray(batch[HISTORIES]),
            targets,
            None if keys is None else keys[0],
            rngs=None if keys is None else {'dropout': keys[1]},
        )
        parts = {'against_items': jnp.sum(items), 'against_sequences': jnp.sum(sequences)}
        total = parts['against_items'] + self.contrasts.sequence_weight * parts['against_sequences']
        return total, jnp.sum(targets != PADDING).astype(total.dtype), parts
