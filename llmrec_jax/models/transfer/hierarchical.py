"""ZESRec's hierarchical model of users and items, trained to its most probable parameters (section 3)."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.model_protocol import Batch, Key, Params, SummedLossModel, Sums
from llmrec_jax.models.ranked_catalogue import REMOVED
from llmrec_jax.models.sequential import ITEMS, USER
from llmrec_jax.models.sequential.losses import Predictions, SequenceLoss, SumAndWeight
from llmrec_jax.models.sequential.network import SequentialNetwork
from llmrec_jax.models.sequential.objective import NextItem
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.transfer.frozen_tables import table_rows
from llmrec_jax.models.transfer.text_items import TextItemEncoder


class HierarchicalNetwork(SequentialNetwork):
    """A sequential network whose states are latent too: `u_t = f_seq(v_1..v_t) + xi`, `xi ~ N(0, I /
    precision)`.

    The paper leaves open whether `xi` belongs to a user or to each of a user's states; here it is a user's.
    It is learned as `xi * sqrt(max(precision, 1))`, as an item's offset is (see `TextItemEncoder`). Who is
    asked about after training has none.

    Attributes:
      user_precision: of the prior of a user's offset; None for no offset.
      n_users: users that are trained on.
    """

    user_precision: float | None = None
    n_users: int = 0

    def setup(self):
        """Declares the users' offsets, where there are any."""
        super().setup()
        if self.user_precision is not None:
            self.user_offset = partitioning.param_with_axes(
                'user_offset',
                nn.initializers.zeros,
                (table_rows(self.n_users), self.item_encoder.dim),
                jnp.float32,
                axes=('vocab', 'embed'),
            )

    def map_sums(
        self,
        sequences: Int[Array, 'batch width'],
        users: Int[Array, 'batch'],
        loss: SequenceLoss,
        item_share: float,
        enable_dropout: bool,
    ) -> tuple[SumAndWeight, Float[Array, '']]:
        """`-log p` of the items that come next, and what the priors cost.

        Args:
          sequences: tokens, padded on the left; a row of padding costs nothing.
          users: row of each in the table of offsets.
          loss: `-log p` of states.
          item_share: part of the items' prior that each target bears: 1 / targets of an epoch.
          enable_dropout: whether to draw dropout.
        """
        view = NextItem().training_view(sequences, None)
        states = self(view.inputs, enable_dropout)
        users_cost = jnp.zeros(())
        if self.user_precision is not None:
            offsets = self.user_offset.at[users].get(mode='clip')
            offsets *= jnp.any(sequences != 0, axis=1)[:, None]
            users_cost = min(self.user_precision, 1.0) / 2 * jnp.sum(jnp.square(offsets))
            states += offsets[:, None, :] / math.sqrt(max(self.user_precision, 1.0))
        total, weight = loss(Predictions(states, view.targets, sequences), self, None)
        return (total, weight), weight * item_share * self.item_encoder.penalty() + users_cost


@dataclasses.dataclass(frozen=True, eq=False)
class HierarchicalModel(SequentialRecommenderModel):
    """ZESRec on the domain it is trained on: a sequential recommender with priors.

    The loss of an epoch is the paper's, `-log p + lam_v / 2 sum_j |v_j - f_e(x_j)|^2 + lam_u / 2 sum_i
    |xi_i|^2`: each target bears its share of the items' prior, and each user comes once an epoch.

    Attributes:
      user_precision: lam_u; None for no offsets of users. lam_v is the item encoder's `offset_precision`.
      n_users: users that are trained on; 0 until `for_examples` says it.
      n_targets: items that an epoch predicts; likewise.

    Raises:
      ValueError: when the parts are not those of the model: another item encoder, a bias, or a loss that
        draws.
    """

    user_precision: float | None = None
    n_users: int = 0
    n_targets: int = 0

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.item_encoder, TextItemEncoder) or self.scoring.item_bias:
            raise ValueError(
                'HierarchicalModel is of a TextItemEncoder, without Scoring.item_bias: items are their text'
            )
        if self.user_precision is not None and not self.user_precision >= 0:
            raise ValueError(f'HierarchicalModel.user_precision={self.user_precision} must be 0 or more')

    def for_examples(self, n_users: int, n_targets: int) -> 'HierarchicalModel':
        """The model of training examples of so many users, which predict so many items in all."""
        return dataclasses.replace(self, n_users=n_users, n_targets=n_targets)

    @functools.cached_property
    def network(self) -> HierarchicalNetwork:
        """The encoders and offsets as one linen module."""
        return HierarchicalNetwork(
            self.item_encoder,
            self.sequence_encoder,
            self.scoring,
            user_precision=self.user_precision,
            n_users=self.n_users,
        )

    @property
    def FEATURE_CONVERTER_CLS(self) -> Any:
        """The SeqIO feature converter; asking for it imports SeqIO, and with it TensorFlow."""
        from llmrec_jax.models.sequential.item_features import item_feature_converter

        return item_feature_converter(self.n_items, seen=self.seen_items == REMOVED, n_users=self.n_users)

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Model features of a batch of the column store; 'user' [batch, 1] gives 'user' [batch].

        Raises:
          ValueError: as `SequentialRecommenderModel`, and when a user is none that the model is for.
        """
        users = np.asarray(task_batch[USER], np.int32)[:, 0]
        if users.size and not 0 <= users.min() <= users.max() < max(self.n_users, 1):
            raise ValueError(
                f'{USER!r} names users from {users.min()} to {users.max()}, but the model is for '
                f'{self.n_users}: were the examples made of other corpora?'
            )
        return {**super().convert_features(task_batch), USER: users}

    def loss_sums(self, params: Params, batch: Batch, dropout_rng: Key | None = None) -> Sums:
        """The summed loss, the number of targets, and of the loss what `-log p` is and what the priors are.

        Raises:
          ValueError: when the loss draws negatives: the model's `-log p` is over the whole catalogue.
        """
        (nll, weight), prior = self.network.apply(
            {'params': params},
            jnp.asarray(batch[ITEMS]),
            jnp.asarray(batch[USER]),
            self.loss,
            1 / max(self.n_targets, 1),
            dropout_rng is not None,
            rngs=None if dropout_rng is None else {'dropout': dropout_rng},
            method='map_sums',
        )
        return nll + prior, weight, {'next_item': nll, 'prior': prior}

    # Nothing of this loss is drawn, so that its evaluation needs no key.
    eval_fn = SummedLossModel.eval_fn
