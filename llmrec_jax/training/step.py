"""One update: gradients summed over microbatches, then applied."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.linen import partitioning
from jaxtyping import Array, Float

from llmrec_jax.training.frozen import joined
from llmrec_jax.training.mesh import LogicalRules
from llmrec_jax.training.train_state import (
    PARAMETERS,
    TrainableModel,
    TrainState,
    moment_layout,
    shardings_of,
)


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
class StepPrograms:
    """The programs of one update, lowered or compiled.

    A batch that is one microbatch is one program. Several are summed up by programs of their own, and because
    losses and weights are summed and divided once, the update is the one that a single batch padded to the
    full length would make, dropout aside; and losses within a batch aside, which know a microbatch alone.

    Attributes:
      update: padded shape to the program that makes the whole update; empty for several microbatches.
      accumulate: padded shape to the program that adds a microbatch's sums; empty for one microbatch.
      zero: makes empty sums; None for one microbatch.
      apply: turns the state and the sums into the next state and the step's metrics; likewise.
    """

    update: Mapping[Hashable, Any]
    accumulate: Mapping[Hashable, Any]
    zero: Any = None
    apply: Any = None

    def named(self) -> dict[str, Any]:
        """The programs by name: 'update_<shape>', or 'accumulate_<shape>', 'zero' and 'apply'."""
        programs = {f'update_{length}': program for length, program in self.update.items()}
        programs |= {f'accumulate_{length}': program for length, program in self.accumulate.items()}
        return programs | ({'zero': self.zero, 'apply': self.apply} if self.accumulate else {})


class LoweredStep(StepPrograms):
    """The programs of one update, traced and lowered for a mesh whose devices need not be at hand."""

    def compile(self) -> 'TrainStep':
        """Compiles the programs, several at a time."""
        # Tracing needs this thread's axis rules and mesh; compiling does not, and it frees the interpreter.
        with ThreadPoolExecutor() as pool:
            compiling = {name: pool.submit(program.compile) for name, program in self.named().items()}
            compiled = {name: future.result() for name, future in compiling.items()}
        return TrainStep(
            {length: compiled[f'update_{length}'] for length in self.update},
            {length: compiled[f'accumulate_{length}'] for length in self.accumulate},
            compiled.get('zero'),
            compiled.get('apply'),
        )


class TrainStep(StepPrograms):
    """The programs of one update, compiled."""

    def __call__(
        self, state: TrainState, step: int, microbatches: Sequence[tuple[Hashable, Mapping[str, Array]]]
    ) -> tuple[TrainState, dict[str, Float[Array, '']]]:
        """Makes update number `step`, counted from 0.

        Args:
          state: is donated; use the one returned.
          step: updates made before.
          microbatches: padded shape and model features of each, as many as the step was made for.

        Returns:
          The next state, and `loss`, `grad_norm` and the model's own metrics, all divided by the loss
          weights.
        """
        if self.update:
            [(length, features)] = microbatches
            return self.update[length](state, features, np.int32(step), np.int32(0))
        sums = self.zero()
        for index, (length, features) in enumerate(microbatches):
            sums = self.accumulate[length](
                state.params, state.frozen, sums, features, np.int32(step), np.int32(index)
            )
        return self.apply(state, sums)


def compile_step(*arguments: Any, **options: Any) -> TrainStep:
    """Lowers and compiles the update; takes what `lower_step` takes."""
    return lower_step(*arguments, **options).compile()


def lower_step(
    model: TrainableModel,
    optimizer: optax.GradientTransformation,
    abstract: TrainState,
    features: Mapping[Hashable, Mapping[str, jax.ShapeDtypeStruct]],
    rules: LogicalRules,
    seed: int,
    dropout_bits: str,
    *,
    microbatches: int,
    optimizer_sharding: str = PARAMETERS,
) -> LoweredStep:
    """Lowers the update for every padded shape; call it under the mesh (`jax.set_mesh`).

    Args:
      model: the model.
      optimizer: the optimizer.
      abstract: shapes and shardings of the state; the devices need not be at hand.
      features: padded shape (or any key) to the shapes and shardings of the model's features.
      rules: logical axis rules for the model's activations.
      seed: of dropout; the key of a microbatch depends on the seed, the step and its place in the batch
        alone.
      dropout_bits: random bit generator of dropout, as `jax.random.key` names them.
      microbatches: how many make a batch.
      optimizer_sharding: as `train_state.abstract_state` was given it; gradients lie as the moments do.
    """
    scalar = abstract.step.sharding
    index = jax.ShapeDtypeStruct((), np.int32)
    spread = moment_layout(abstract.params, optimizer_sharding)
    gradient_shardings = shardings_of(spread)

    def gradient_sums(params: Any, frozen: Any, features: Any, step: Any, index: Any) -> Sums:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed, impl=dropout_bits), step), index)

        def loss(params: Any) -> Any:
            loss_sum, weight_sum, metric_sums = model.loss_sums(joined(params, frozen), features, key)
            return loss_sum, (weight_sum, metric_sums)

        (loss_sum, (weight, metrics)), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        gradients = jax.lax.with_sharding_constraint(gradients, gradient_shardings)
        return Sums(gradients, loss_sum, weight, dict(metrics))

    def accumulate(params: Any, frozen: Any, sums: Sums, features: Any, step: Any, index: Any) -> Sums:
        return jax.tree.map(jnp.add, sums, gradient_sums(params, frozen, features, step, index))

    def apply(state: TrainState, sums: Sums) -> tuple[TrainState, dict[str, Any]]:
        gradients = jax.tree.map(lambda gradient: gradient / sums.weight, sums.gradients)
        # Where the moments are spread, each device updates its part of the parameters and then gathers all.
        params = jax.lax.with_sharding_constraint(state.params, gradient_shardings)
        updates, opt_state = optimizer.update(gradients, state.opt_state, params)
        params = optax.apply_updates(params, updates)
        metrics = {name: metric / sums.weight for name, metric in sums.metrics.items()}
        metrics |= {'loss': sums.loss / sums.weight, 'grad_norm': optax.global_norm(gradients)}
        return TrainState(state.step + 1, params, opt_state, state.frozen), metrics

    def update(state: TrainState, features: Any, step: Any, index: Any) -> tuple[TrainState, dict[str, Any]]:
        return apply(state, gradient_sums(state.params, state.frozen, features, step, index))

    state_sharding = shardings_of(abstract)
    with partitioning.axis_rules(rules):
        if microbatches == 1:
            program = jax.jit(update, donate_argnums=0, out_shardings=(state_sharding, scalar))
            lowered = {
                length: program.lower(abstract, shapes, index, index) for length, shapes in features.items()
            }
            return LoweredStep(update=lowered, accumulate={})
        any_features = next(iter(features.values()))
        empty = jax.eval_shape(gradient_sums, abstract.params, abstract.frozen, any_features, index, index)
        sums = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            empty,
            Sums(gradient_shardings, scalar, scalar, {name: scalar for name in empty.metrics}),
        )
        sums_sharding = shardings_of(sums)
        adding = jax.jit(accumulate, donate_argnums=2, out_shardings=sums_sharding)
        zero = jax.jit(
            lambda: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), sums),
            out_shardings=sums_sharding,
        )
        applying = jax.jit(apply, donate_argnums=0, out_shardings=(state_sharding, scalar))
        return LoweredStep(
            update={},
            accumulate={
                length: adding.lower(abstract.params, abstract.frozen, sums, shapes, index, index)
                for length, shapes in features.items()
            },
            zero=zero.lower(),
            apply=applying.lower(abstract, sums),
        )
