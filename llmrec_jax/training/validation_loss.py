"""The loss on held-out examples, as a validation for `Trainer.fit`."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax.linen import partitioning
from jax.sharding import Mesh
from jaxtyping import Array, Int, PyTree

from llmrec_jax.training.batches import Batches
from llmrec_jax.training.mesh import (
    LogicalRules,
    batch_sharding,
    check_batch,
    place,
    replicated,
    rows_of_this_process,
)
from llmrec_jax.training.train_state import TrainableModel


@dataclasses.dataclass(frozen=True, eq=False)
class ValidationLoss:
    """Loss and the model's other metrics over every example of a store, each counted once, dropout off.

    Examples are taken shortest first, so that little is padded; the last batch is filled up with rows of
    padding, which weigh nothing.

    Attributes:
      model: the model.
      examples: the store and how its batches are padded; neither its order nor its number of batches enters.
      mesh: the training's mesh.
      rules: logical axis rules.

    Raises:
      ValueError: when a microbatch of `examples` does not divide over the mesh.
    """

    model: TrainableModel
    examples: Batches
    mesh: Mesh
    rules: LogicalRules

    def __post_init__(self):
        check_batch(self.mesh, self.rules, self.examples.microbatch_size)

    def __call__(self, params: PyTree[Array], step: int) -> dict[str, float]:
        """'loss' and the model's metrics, each over the sum of the loss weights."""
        del step
        with jax.set_mesh(self.mesh), partitioning.axis_rules(self.rules):
            # One batch at a time: nothing orders the collectives of batches that are under way together, and
            # processes that meet them in different orders wait for one another for ever.
            sums = [jax.device_get(self._sums(params, batch)) for batch in self._batches()]
        losses, weights, metrics = zip(*sums, strict=True)
        weight = np.sum(weights, dtype=np.float64)
        totals = {'loss': losses, **{name: [row[name] for row in metrics] for name in metrics[0]}}
        return {name: float(np.sum(values, dtype=np.float64) / weight) for name, values in totals.items()}

    @functools.cached_property
    def _sums(self) -> Any:
        def sums(params: Any, batch: Any) -> Any:
            return self.model.loss_sums(params, batch, None)

        return jax.jit(sums, out_shardings=replicated(self.mesh))

    def _batches(self) -> Iterator[Mapping[str, Array]]:
        examples, size = self.examples, self.examples.microbatch_size
        sharding = batch_sharding(self.mesh, self.rules)
        own = rows_of_this_process(sharding, size)
        order = examples.order(np.arange(len(examples.columns)))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            widths = examples.padded_lengths(examples.shape_of(rows))
            features = examples.columns.batch(rows[own], widths)
            filled = {name: _filled(feature, own.stop - own.start) for name, feature in features.items()}
            yield place(self.model.convert_features(filled), sharding, own, size)


def _filled(feature: Int[np.ndarray, 'rows length'], rows: int) -> Int[np.ndarray, 'filled length']:
    return np.pad(feature, ((0, rows - len(feature)), (0, 0)))
