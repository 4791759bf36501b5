"""One update: gradients summed over microbatches, then applied."""

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.linen import partitioning
from jaxtyping import Array, Float

from llmrec_jax.training.mesh import LogicalRules
from llmrec_jax.training.train_state import TrainableModel, TrainState, shardings_of


@flax.struct.dataclass
class Sums:
    """What microbatches add up to; also the tree of its shapes, or of its shardings.

    Attributes:
      gradients: of the summed loss.
      loss: summed loss, a scalar.
      weight: summed loss weights, a scalar.
      metrics: other sums by name, scalars.
    """

    gradients: Any
    loss: Any
    weight: Any
    metrics: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class TrainStep:
    """The programs of one update, compiled: one for each padded length, one that zeroes, one that applies.

    Because losses and weights are summed over microbatches and divided once, the update is the one that a
    single batch padded to the full length would make, dropout aside.

    Attributes:
      accumulate: padded length to the program that adds a microbatch's sums.
      zero: makes empty sums.
      apply: turns the state and the sums into the next state and the step's metrics.
    """

    accumulate: Mapping[int, Any]
    zero: Any
    apply: Any

    def __call__(
        self, state: TrainState, step: int, microbatches: Sequence[tuple[int, Mapping[str, Array]]]
    ) -> tuple[TrainState, dict[str, Float[Array, '']]]:
        """Makes update number `step`, counted from 0.

        Args:
          state: is donated; use the one returned.
          step: updates made before.
          microbatches: padded length and model features of each.

        Returns:
          The next state, and `loss`, `grad_norm` and the model's own metrics, all divided by the loss
          weights.
        """
        sums = self.zero()
        for index, (length, features) in enumerate(microbatches):
            sums = self.accumulate[length](state.params, sums, features, np.int32(step), np.int32(index))
        return self.apply(state, sums)


def compile_step(
    model: TrainableModel,
    optimizer: optax.GradientTransformation,
    abstract: TrainState,
    features: Mapping[int, Mapping[str, jax.ShapeDtypeStruct]],
    rules: LogicalRules,
    seed: int,
    dropout_bits: str,
) -> TrainStep:
    """Compiles the update for every padded length.

    Args:
      model: the model.
      optimizer: the optimizer.
      abstract: shapes and shardings of the state.
      features: padded length to the shapes and shardings of the model's features.
      rules: logical axis rules for the model's activations.
      seed: of dropout; the key of a microbatch depends on the seed, the step and its place in the batch
        alone.
      dropout_bits: random bit generator of dropout, as `jax.random.key` names them.
    """

    def gradient_sums(params: Any, features: Any, step: Any, index: Any) -> Sums:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed, impl=dropout_bits), step), index)

        def loss(params: Any) -> Any:
            loss_sum, weight_sum, metric_sums = model.loss_sums(params, features, key)
            return loss_sum, (weight_sum, metric_sums)

        (loss_sum, (weight, metrics)), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        return Sums(gradients, loss_sum, weight, dict(metrics))

    def accumulate(params: Any, sums: Sums, features: Any, step: Any, index: Any) -> Sums:
        return jax.tree.map(jnp.add, sums, gradient_sums(params, features, step, index))

    def apply(state: TrainState, sums: Sums) -> tuple[TrainState, dict[str, Any]]:
        gradients = jax.tree.map(lambda gradient: gradient / sums.weight, sums.gradients)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {name: metric / sums.weight for name, metric in sums.metrics.items()}
        metrics |= {'loss': sums.loss / sums.weight, 'grad_norm': optax.global_norm(gradients)}
        return TrainState(state.step + 1, params, opt_state), metrics

    scalar = abstract.step.sharding
    index = jax.ShapeDtypeStruct((), np.int32)
    with partitioning.axis_rules(rules):
        any_features = next(iter(features.values()))
        empty = jax.eval_shape(gradient_sums, abstract.params, any_features, index, index)
        sums = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            empty,
            Sums(shardings_of(abstract.params), scalar, scalar, {name: scalar for name in empty.metrics}),
        )
        sums_sharding, state_sharding = shardings_of(sums), shardings_of(abstract)
        lowered = {
            length: jax.jit(accumulate, donate_argnums=1, out_shardings=sums_sharding).lower(
                abstract.params, sums, shapes, index, index
            )
            for length, shapes in features.items()
        }
        zero = jax.jit(
            lambda: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), sums),
            out_shardings=sums_sharding,
        )
        applied = jax.jit(apply, donate_argnums=0, out_shardings=(state_sharding, scalar))
    # Tracing needs this thread's axis rules and mesh; compiling does not, and it frees the interpreter.
    with ThreadPoolExecutor() as pool:
        compiling = {length: pool.submit(program.compile) for length, program in lowered.items()}
        compiling_apply = pool.submit(applied.lower(abstract, sums).compile)
        compiled = {length: future.result() for length, future in compiling.items()}
        return TrainStep(compiled, zero.lower().compile(), compiling_apply.result())
