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
from jaxtyping import Array, Float, Int, Key

from llmrec_jax import marks
from llmrec_jax.models.model_protocol import Batch, Params, SummedLossModel, Sums, two_keys
from llmrec_jax.models.model_protocol import Key as AnyKey
from llmrec_jax.models.ranked_catalogue import KEPT
from llmrec_jax.models.sequential.item_encoder import PADDING, CatalogueFacts, ItemEncoder
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.network import Scoring, SequenceEncoder
from llmrec_jax.models.sequential.objective import NextItem
from llmrec_jax.models.sequential.recommender_model import ITEMS, SequentialRecommenderModel
from llmrec_jax.models.transfer.code_items import CodeItemEncoder
from llmrec_jax.models.transfer.contrastive import contrastive_losses, drop_items, semi_synthetic_codes
from llmrec_jax.models.transfer.text_items import TextItemEncoder


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
      shared_fakes: whether a semi-synthetic item is a negative of every prefix of the microbatch; by default,
        as in VQ-Rec's released code, it is one of the prefix alone whose target it was made of.

    Raises:
      ValueError: when a number is out of its range.
    """

    temperature: float = 0.07
    sequence_weight: float = 1e-3
    item_drop: float = 0.2
    item_drop_share: float = 0.9
    replaced_codes: float = 0.0
    shared_fakes: bool = False

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
        self, sequences: Int[Array, 'batch width'], key: Key[Array, ''] | None
    ) -> tuple[Float[Array, 'batch length'], Float[Array, 'batch']]:
        """Losses of each prefix against items and of each sequence against sequences, in nats; 0 for padding.

        The encoder being causal, the states of a sequence are those of all its prefixes.

        Args:
          sequences: tokens, padded on the left; every item is the target of those before it.
          key: of the second views and the semi-synthetic items; None for dropout off, no such items, and
            the whole history as its own second view.
        """
        contrasts = self.contrasts
        view = NextItem().training_view(sequences, None)
        histories, targets = view.inputs, view.targets
        states = self._states(self.item_encoder(histories), histories, key is not None)
        view_key, code_key = (None, None) if key is None else tuple(jax.random.split(key))
        items, rows = targets.reshape(-1), jnp.repeat(jnp.arange(len(targets)), targets.shape[1])
        against_items = contrastive_losses(
            states.reshape(len(items), -1),
            self.item_encoder(items),
            items,
            contrasts.temperature,
            negatives=self._semi_synthetic(items, code_key),
            shared_negatives=contrasts.shared_fakes,
            valid=items != PADDING,
            groups=rows,
        ).reshape(targets.shape)
        if not contrasts.sequence_weight:
            return against_items, jnp.zeros(len(targets))
        against_sequences = contrastive_losses(
            states[:, -1],
            self._second_states(histories, view_key),
            targets[:, -1],
            contrasts.temperature,
            valid=targets[:, -1] != PADDING,
        )
        return against_items, against_sequences

    def _semi_synthetic(
        self, items: Int[Array, 'rows'], key: Key[Array, ''] | None
    ) -> Float[Array, 'rows dim'] | None:
        if not self.contrasts.replaced_codes or key is None:
            return None
        codes = self.item_encoder.codes_of(items)
        drawn = semi_synthetic_codes(
            codes.astype(jnp.int32), key, self.item_encoder.codewords, self.contrasts.replaced_codes
        )
        return self.item_encoder.of_codes(drawn.astype(codes.dtype))

    def _second_states(
        self, histories: Int[Array, 'batch length'], key: Key[Array, ''] | None
    ) -> Float[Array, 'batch dim']:
        if key is None:
            return self._states(self.item_encoder(histories), histories, False)[:, -1]
        contrasts = self.contrasts
        drop_key, choice_key = jax.random.split(key)
        fewer = drop_items(histories, drop_key, contrasts.item_drop)
        if contrasts.item_drop_share == 1:
            return self._states(self.item_encoder(fewer), fewer, True)[:, -1]
        by_items = jax.random.bernoulli(choice_key, contrasts.item_drop_share, (len(histories), 1))
        tokens = jnp.where(by_items, fewer, histories)
        embedded = jnp.where(
            by_items[..., None], self.item_encoder(tokens), self.item_encoder.without_some_words(tokens)
        )
        return self._states(embedded, tokens, True)[:, -1]

    def _states(
        self,
        embedded: Float[Array, 'batch length dim'],
        tokens: Int[Array, 'batch length'],
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        embedded = partitioning.with_sharding_constraint(embedded, ('batch', 'length', 'embed'))
        return self.sequence_encoder(embedded, tokens != PADDING, enable_dropout=enable_dropout)


@dataclasses.dataclass(frozen=True, eq=False)
class ContrastivePretraining(SummedLossModel):
    """Pre-training as both engines drive it; its predictions are those of `recommender`.

    Every prefix of a sequence is contrasted with the item after it. The targets of the other sequences of a
    microbatch, of whatever domain, are the negatives: `Trainer.batch_size / Trainer.microbatches` sequences
    that are drawn at random, and not cut by their length as for other losses. (The released code encodes
    every prefix by itself, and batches them; here those of a sequence are encoded at once, and are no
    negatives of one another.)

    Attributes:
      item_encoder: from items to vectors, without anything of its own for an item: that would not transfer.
      sequence_encoder: from the vectors of a history to states.
      contrasts: what is contrasted.
      list_length: see `SequentialRecommenderModel`.
      seen_items: likewise.

    Raises:
      ValueError: when the item encoder lacks what the contrasts need.
    """

    item_encoder: ItemEncoder
    sequence_encoder: SequenceEncoder
    contrasts: Contrasts = dataclasses.field(default_factory=Contrasts)
    list_length: int = marks.without_effect(20)
    seen_items: str = marks.without_effect(KEPT)

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

    @functools.cached_property
    def recommender(self) -> SequentialRecommenderModel:
        """The same encoders as a recommender, which takes the same parameters."""
        scoring = Scoring(cosine=True, temperature=self.contrasts.temperature)
        return SequentialRecommenderModel(
            self.item_encoder,
            self.sequence_encoder,
            FullSoftmax(),
            scoring=scoring,
            list_length=self.list_length,
            seen_items=self.seen_items,
        )

    @property
    def in_batch_loss(self) -> bool:
        """See `SummedLossModel`; the other sequences of a microbatch are the negatives."""
        return True

    @property
    def FEATURE_CONVERTER_CLS(self) -> Any:
        """That of the recommender; asking for it imports SeqIO, and with it TensorFlow."""
        return self.recommender.FEATURE_CONVERTER_CLS

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Model features of a batch of the column store, see `SequentialRecommenderModel`.

        Raises:
          ValueError: when a token is of no item of the catalogue.
        """
        return self.recommender.convert_features(task_batch)

    def get_initial_variables(
        self,
        rng: AnyKey,
        input_shapes: Mapping[str, tuple[int, ...]],
        input_types: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """'params' and 'params_axes' (their logical axis names), whatever the shapes of batches."""
        del input_shapes, input_types
        return self.network.init(rng, jnp.ones((1, 2), jnp.int32), None)

    def loss_sums(self, params: Params, batch: Batch, dropout_rng: AnyKey | None = None) -> Sums:
        """The summed loss, the number of targets, and the sums of its two parts.

        The loss of a sequence against sequences counts once for each of its targets, as where its prefixes
        are examples of their own.

        Args:
          params: the network's parameters.
          batch: what `convert_features` gave.
          dropout_rng: of dropout and of all that is drawn; dropout is off where there is none.
        """
        draws, dropout = two_keys(dropout_rng)
        sequences = jnp.asarray(batch[ITEMS])
        against_items, against_sequences = self.network.apply(
            {'params': params},
            sequences,
            draws,
            rngs=None if dropout is None else {'dropout': dropout},
        )
        targets = jnp.sum(NextItem().training_view(sequences, None).targets != PADDING, axis=1)
        parts = {
            'against_items': jnp.sum(against_items),
            'against_sequences': jnp.sum(against_sequences * targets),
        }
        total = parts['against_items'] + self.contrasts.sequence_weight * parts['against_sequences']
        return total, jnp.sum(targets).astype(total.dtype), parts

    def predict_batch_with_aux(
        self, params: Params, batch: Batch, rng: AnyKey | None = None
    ) -> tuple[Int[Array, 'batch list'], dict[str, Array]]:
        """Those of the recommender; see `SequentialRecommenderModel`."""
        return self.recommender.predict_batch_with_aux(params, batch, rng)

    def score_batch(self, params: Params, batch: Batch) -> Float[Array, 'batch']:
        """Those of the recommender; see `SequentialRecommenderModel`."""
        return self.recommender.score_batch(params, batch)
