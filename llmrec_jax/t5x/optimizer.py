"""Our optimizers as T5X asks for them: wrapped, and with the logical axes of their state."""

from collections.abc import Sequence
from typing import Any

import jax
import optax
from flax.core import FrozenDict, freeze, unfreeze
from t5x import optimizers

from llmrec_jax.training.frozen import joined, split
from llmrec_jax.training.optimizers import FROZEN, TRAINED, Optimizer


class OptaxOptimizer(optimizers.OptaxWrapper):
    """T5X's wrapper of an optax optimizer, for states that T5X has no rules for too.

    T5X knows optax's states by name and cannot place factored moments (Adafactor). Here a moment of its
    parameter's shape gets the parameter's logical axes, a moment that lacks one of its axes gets the others,
    and whatever belongs to no parameter is replicated: what `training.mesh.optimizer_shardings` does for the
    embedded engine.
    """

    def derive_logical_axes(
        self, optimizer: optimizers.Optimizer, param_logical_axes: Any
    ) -> optimizers.Optimizer:
        """The optimizer with logical axes, or None, in place of arrays.

        Args:
          optimizer: parameters (`target`) and state, or their shapes.
          param_logical_axes: a PartitionSpec of logical names for every parameter.
        """
        # T5X compares the result with the state as a tree, so it keeps the state's own kind of mapping.
        axes = freeze(param_logical_axes) if isinstance(optimizer.target, FrozenDict) else param_logical_axes

        def moment(leaf: Any, param: Any, names: Any) -> Any:
            if isinstance(leaf, optax.MaskedNode):
                return leaf
            return _moment_axes(leaf.shape, param.shape, tuple(names))

        state = optax.tree_map_params(
            self.optax_optimizer,
            moment,
            optimizer.state.param_states,
            optimizer.target,
            axes,
            transform_non_params=lambda _: None,
            # What stands in the place of a frozen parameter's moment.
            is_leaf=lambda leaf: isinstance(leaf, optax.MaskedNode),
        )
        return optimizer.replace(
            target=axes,
            state=optimizers.OptimizerState(step=None, param_states=state),
        )


def wrap(optimizer: Optimizer, trained: Sequence[str] = ()) -> OptaxOptimizer:
    """T5X's form of an optimizer of ours; the learning rate is the schedule's that optax was built with.

    Args:
      optimizer: of the parameters that are trained.
      trained: `Trainer.trained`. T5X knows no frozen parameters, so that the others are in its state and its
        checkpoints; they have no moments and are not updated.
    """
    if not trained:
        return OptaxOptimizer(optimizer.build())

    def labels(params: Any) -> Any:
        # optax asks for the state of a placeholder without leaves, to tell moments from other state.
        if not jax.tree.leaves(params):
            return params
        moving, still = split(unfreeze(params), trained)
        labelled = joined(jax.tree.map(lambda _: TRAINED, moving), jax.tree.map(lambda _: FROZEN, still))
        return freeze(labelled) if isinstance(params, FrozenDict) else labelled

    return OptaxOptimizer(optax.partition({TRAINED: optimizer.build(), FROZEN: optax.set_to_zero()}, labels))


def _moment_axes(
    shape: tuple[int, ...], param_shape: tuple[int, ...], names: tuple[str, ...]
) -> jax.sharding.PartitionSpec | None:
    kept = [(param_shape, names)]
    for axis in range(len(param_shape)):
        kept.append((param_shape[:axis] + param_shape[axis + 1 :], names[:axis] + names[axis + 1 :]))
    matching = next((left for candidate, left in kept if candidate == shape), None)
    return None if matching is None else jax.sharding.PartitionSpec(*matching)
