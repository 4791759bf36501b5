"""The injected decoder as both engines drive it: the decoder's model with items, and contrastive losses."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.models.decoder_only.decoder import LayerStates
from llmrec_jax.models.decoder_only.features import LOSS_PLACES, PACKING_FEATURES, real_tokens
from llmrec_jax.models.decoder_only.model import DecoderOnlyModel
from llmrec_jax.models.inference import network_variables
from llmrec_jax.models.injected_decoder.contrast import Contrast, Views, mean_over
from llmrec_jax.models.injected_decoder.network import InjectedDecoder
from llmrec_jax.models.model_protocol import Batch, Key, Params, Sums, as_arrays
from llmrec_jax.models.ranked_catalogue import KEPT

# Of each placeholder, in their order, the item; how many tokens of the inputs tell the history; the item that
# the targets name. Items are rows of the catalogue + 1.
ITEMS, HISTORY, TARGET_ITEM = 'items', 'history_tokens', 'target_item'


@dataclasses.dataclass(frozen=True, eq=False)
class InjectedDecoderModel(DecoderOnlyModel):
    """A `DecoderOnlyModel` whose prompts hold vectors of items where placeholders stand.

    A row without placeholders is a prompt of text alone, and is read as the plain decoder reads it.

    Attributes:
      module: the network.
      contrast: contrastive losses of the rows with items; None for none.

    Raises:
      ValueError: further, where contrastive losses have no temperatures or no targets of their own.
    """

    module: InjectedDecoder
    contrast: Contrast | None = None

    def __post_init__(self):
        super().__post_init__()
        wanted = 0 if self.contrast is None else len(self.contrast.NAMES)
        if len(self.module.temperatures) != wanted:
            raise ValueError(
                f'InjectedDecoder.temperatures={self.module.temperatures} must be {wanted}, one for each '
                'loss of InjectedDecoderModel.contrast'
            )
        if self.contrast is not None and not self.loss_on_targets_only:
            raise ValueError(
                'InjectedDecoderModel.contrast reads the targets where the loss is: set '
                'loss_on_targets_only=True'
            )

    def for_catalogue(self, n_items: int, item_dim: int, placeholder: int) -> 'InjectedDecoderModel':
        """The model over a catalogue, and the token that its vectors stand in for."""
        module = self.module.clone(n_items=n_items, item_dim=item_dim, placeholder=placeholder)
        return dataclasses.replace(self, module=module)

    @property
    def in_batch_loss(self) -> bool:
        """See `SummedLossModel`."""
        return self.contrast is not None and any(self.contrast.weights)

    @property
    def FEATURE_CONVERTER_CLS(self) -> Any:
        """See `DecoderOnlyModel`; it checks nothing of the items."""
        if self.feature_converter_cls is not None:
            return self.feature_converter_cls
        from llmrec_jax.models.decoder_only.feature_converter import decoder_feature_converter

        return decoder_feature_converter(
            self.start_token, self.loss_on_targets_only, self.seen_items != KEPT, self._passed
        )

    @property
    def _passed(self) -> tuple[str, ...]:
        return (ITEMS, HISTORY, TARGET_ITEM) if self.in_batch_loss else (ITEMS,)

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The decoder's features of a padded batch, and the items as they came.

        Args:
          task_batch: see `DecoderOnlyModel.convert_features`; and `ITEMS` [batch, places]; for contrastive
            losses `HISTORY` and `TARGET_ITEM`, [batch, 1] each.

        Raises:
          ValueError: further, if there are not as many items as placeholders in a row, or a prompt ends in
            one, or an item is not in the catalogue.
        """
        self._check_items(np.asarray(task_batch['inputs']), np.asarray(task_batch[ITEMS]))
        model_batch = super().convert_features(task_batch)
        given = (name for name in self._passed if name in task_batch)
        return model_batch | {name: np.asarray(task_batch[name], np.int32) for name in given}

    def _check_items(
        self, inputs: Int[np.ndarray, 'batch inputs'], items: Int[np.ndarray, 'batch places']
    ) -> None:
        is_placeholder = (inputs == self.module.placeholder) & real_tokens(inputs)
        there, given = is_placeholder.sum(axis=1), (items != 0).sum(axis=1)
        if (there != given).any():
            row = int(np.argmax(there != given))
            raise ValueError(
                f'row {row} has {there[row]} placeholders and {given[row]} items: a placeholder without its '
                "vector, or a vector without its place; was the prompt cut? raise the inputs' feature length"
            )
        last = np.maximum(real_tokens(inputs).sum(axis=1) - 1, 0)
        if len(inputs) and np.take_along_axis(is_placeholder, last[:, None], axis=1).any():
            raise ValueError('a prompt ends in a placeholder: what is decoded first needs a token before it')
        if items.size and not 0 <= items.min() <= items.max() <= self.module.n_items:
            raise ValueError(
                f'the items run from {items.min()} to {items.max()}, but the catalogue has '
                f'{self.module.n_items}'
            )

    def get_initial_variables(
        self,
        rng: Key,
        input_shapes: Mapping[str, tuple[int, ...]],
        input_types: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """See `DecoderOnlyModel`; the table of vectors is to be filled before it is read."""
        del input_types
        tokens = jnp.ones(input_shapes['decoder_input_tokens'], jnp.int32)
        return self.module.init(rng, tokens, jnp.ones(input_shapes[ITEMS], jnp.int32))

    def loss_sums(self, params: Params, batch: Batch, dropout_rng: Key | None = None) -> Sums:
        """See `GenerativeModel`; a contrastive loss is a mean over the rows of the batch that have items.

        Returns:
          The loss, the sum of weights of tokens, and further weighted sums, each contrastive loss among them.
        """
        if self.contrast is None or not self.in_batch_loss:
            return super().loss_sums(params, batch, dropout_rng)
        batch = as_arrays(batch)
        encoded = self._encoded(params, batch, dropout_rng)
        loss, weight, sums = self.token_loss_sums(*self.loss_terms_of(params, encoded, batch))
        loss = self.contrast.language_weight * loss
        valid = jnp.any(batch[ITEMS] != 0, axis=1)
        temperatures = self.module.apply(network_variables(params), method='learned_temperatures')
        losses = self.contrast.losses(
            self.views(params, batch, encoded), batch[TARGET_ITEM][:, 0], valid, temperatures
        )
        for share, (name, of_rows) in zip(self.contrast.weights, losses.items(), strict=True):
            # Times the tokens' weight, by which all sums are divided.
            sums[name] = weight * jnp.sum(of_rows) / jnp.maximum(jnp.sum(valid), 1)
            loss += share * sums[name]
        return loss, weight, sums

    def views(self, params: Params, batch: Batch, encoded: Float[Array, 'batch length embed']) -> Views:
        """What contrastive losses compare.

        Args:
          params: the network's parameters.
          batch: the model's features.
          encoded: the network's last output at each position.
        """
        variables = network_variables(params)
        of_prompt, weighted = (
            batch[name] > 0 for name in ('decoder_causal_attention', 'decoder_loss_weights')
        )
        targets, is_target = self._targets(batch)
        # The end of a target is predicted, and not read.
        is_read = jnp.pad(is_target[:, 1:], ((0, 0), (0, 1)))
        begun = jnp.arange(encoded.shape[1])[None, :] - int(self.start_token is not None)
        last = jnp.argmax(jnp.where(of_prompt, jnp.arange(encoded.shape[1])[None, :], -1), axis=1)
        alone, is_alone = targets, is_read
        if self.start_token is not None:
            alone = jnp.pad(targets[:, :-1], ((0, 0), (1, 0)), constant_values=self.start_token)
            is_alone = jnp.pad(is_read[:, :-1], ((0, 0), (1, 0)))
        return Views(
            history=mean_over(encoded, (begun >= 0) & (begun < batch[HISTORY])),
            answer=jnp.take_along_axis(encoded, last[:, None, None], axis=1)[:, 0].astype(jnp.float32),
            target=mean_over(encoded, weighted & ~of_prompt),
            target_alone=mean_over(self.module.apply(variables, alone, method='read'), is_alone),
            target_words=mean_over(self.module.apply(variables, targets, method='embed'), is_read),
            target_item=self.module.apply(variables, batch[TARGET_ITEM][:, 0], method='projected').astype(
                jnp.float32
            ),
        )

    def _targets(self, batch: Batch) -> tuple[Int[Array, 'batch targets'], Bool[Array, 'batch targets']]:
        """The tokens of the targets, and which of them are no padding."""
        places = batch[LOSS_PLACES]
        tokens, weights = (
            jnp.take_along_axis(batch[name], places, axis=1)
            for name in ('decoder_target_tokens', 'decoder_loss_weights')
        )
        return tokens, weights > 0

    def _encoded(
        self, params: Params, batch: Batch, dropout_rng: Key | None
    ) -> Float[Array, 'batch length embed']:
        return self.module.apply(
            network_variables(params),
            batch['decoder_input_tokens'],
            batch[ITEMS],
            **{name: batch[name] for name in PACKING_FEATURES if name in batch},
            decoder_causal_attention=self._mutual(batch),
            rngs=None if dropout_rng is None else {'dropout': dropout_rng},
            method='read_with_items',
        )

    def _prefill(
        self, params: Params, batch: Batch
    ) -> tuple[Float[Array, 'batch prompt embed'], LayerStates]:
        """See `DecoderOnlyInference`."""
        variables, batch = network_variables(params), as_arrays(batch)
        embedded = self.module.apply(
            variables, batch['decoder_input_tokens'], batch[ITEMS], method='embed_with_items'
        )
        return self.module.apply(variables, embedded, self._mutual(batch), method='prefill')

    def _mutual(self, batch: Batch) -> Int[Array, 'batch length'] | None:
        return batch['decoder_causal_attention'] if self.inputs_bidirectional_attention else None
