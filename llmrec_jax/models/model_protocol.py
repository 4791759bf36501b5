"""T5X's model protocol, as far as it is the same for every model of the library."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
from clu import metrics as clu_metrics
from jaxtyping import Array, Float, UInt32

from llmrec_jax import marks
from llmrec_jax.models.losses import NUM_REAL_TARGET_TOKENS

Params = Mapping[str, Any]
Batch = Mapping[str, Any]
# JAX's typed keys, and the raw ones that T5X hands over; one, or one a row.
Key = jaxtyping.Key[Array, '*rows'] | UInt32[Array, '*rows words']
Sums = tuple[Float[Array, ''], Float[Array, ''], Mapping[str, Float[Array, '']]]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SummedLossModel(abc.ABC):
    """What T5X calls on a model, made of the sums that the embedded engine calls for.

    Subclasses have `loss_sums` and `predict_batch_with_aux`, and beside them what T5X touches by name:
    `FEATURE_CONVERTER_CLS`, `get_initial_variables` and `score_batch`. Nothing of T5X is imported.

    Attributes:
      input_vocabulary: SeqIO vocabulary of the inputs; only T5X and SeqIO read it.
      output_vocabulary: SeqIO vocabulary of the targets; likewise.
      optimizer_def: T5X's optimizer; the embedded engine has its own.
      loss_normalizing_factor: what `loss_fn` divides the summed loss by: None for nothing (T5X's default), a
        number, or 'NUM_REAL_TARGET_TOKENS' for the sum of weights, which the embedded engine divides by.
    """

    input_vocabulary: Any = marks.without_effect(None)
    output_vocabulary: Any = marks.without_effect(None)
    optimizer_def: Any = marks.without_effect(None)
    loss_normalizing_factor: float | int | str | None = None

    @property
    def in_batch_loss(self) -> bool:
        """Whether an example's loss depends on which others are in its microbatch, as its negatives are."""
        return False

    @abc.abstractmethod
    def loss_sums(self, params: Params, batch: Batch, dropout_rng: Key | None = None) -> Sums:
        """The summed loss, the sum of weights, and further sums that the same weights normalise."""

    @abc.abstractmethod
    def predict_batch_with_aux(
        self, params: Params, batch: Batch, rng: Key | None = None
    ) -> tuple[Any, Mapping[str, Any]]:
        """T5X's prediction and what is known beside it."""

    def loss_fn(
        self, params: Params, batch: Batch, dropout_rng: Key | None
    ) -> tuple[Float[Array, ''], dict[str, clu_metrics.Metric]]:
        """T5X's loss: the summed loss over `loss_normalizing_factor`, and metrics that merge over batches.

        Args:
          params: the network's parameters.
          batch: the model's features.
          dropout_rng: of dropout and of all that is drawn; dropout is off where there is none.

        Returns:
          The loss; and 'loss_per_nonpadding_target_token', T5X's name of the mean loss, beside the means of
          what else `loss_sums` gives.
        """
        loss, weight, sums = self.loss_sums(params, as_arrays(batch), dropout_rng)
        return loss / self.loss_normalizer(batch, weight), mean_metrics(loss, weight, sums)

    def eval_fn(self, params: Params, batch: Batch) -> tuple[Float[Array, ''], dict[str, clu_metrics.Metric]]:
        """`loss_fn` without dropout."""
        return self.loss_fn(params, batch, None)

    def predict_batch(self, params: Params, batch: Batch, rng: Key | None = None) -> Any:
        """The prediction of `predict_batch_with_aux`."""
        return self.predict_batch_with_aux(params, batch, rng)[0]

    def loss_normalizer(self, batch: Batch, weight: Float[Array, '']) -> Float[Array, ''] | float:
        """What `loss_fn` divides a batch's summed loss by.

        Raises:
          ValueError: when the factor is a word that this model does not know.
        """
        factor = self.loss_normalizing_factor
        if factor is None:
            return 1.0
        if factor == NUM_REAL_TARGET_TOKENS:
            return weight
        if isinstance(factor, str):
            raise ValueError(
                f'{type(self).__name__}.loss_normalizing_factor must be a number, None or '
                f'{NUM_REAL_TARGET_TOKENS!r}, not {factor!r}'
            )
        return float(factor)


def mean_metrics(
    loss: Float[Array, ''], weight: Float[Array, ''], sums: Mapping[str, Float[Array, '']]
) -> dict[str, clu_metrics.Metric]:
    """clu's averages of the loss and of further sums, which merge over batches by their weights."""
    return {
        name: clu_metrics.Average(total=total, count=weight)
        for name, total in {'loss_per_nonpadding_target_token': loss, **sums}.items()
    }


def two_keys(key: Key | None) -> tuple[Key | None, Key | None]:
    """Two typed keys of one, or none of none."""
    if key is None:
        return None, None
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    first, second = jax.random.split(key)
    return first, second


def as_arrays(batch: Batch) -> dict[str, Array]:
    """A batch of numpy arrays, as the input pipelines make them, outside `jit`."""
    return {name: jnp.asarray(feature) for name, feature in batch.items()}
