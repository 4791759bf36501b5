"""What a run carries from step to step."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import flax.core
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.linen import partitioning
from jax.sharding import Mesh
from jaxtyping import Array, Float, Key, PyTree

from llmrec_jax.training.mesh import LogicalRules, optimizer_shardings, parameter_shardings, replicated


@runtime_checkable
class TrainableModel(Protocol):
    """What the engine asks of a model; T5X's model protocol with the sums that exact accumulation needs."""

    def get_initial_variables(
        self,
        rng: Key[Array, ''],
        input_shapes: Mapping[str, tuple[int, ...]],
        input_types: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """The collections `params` and `params_axes`."""
        ...

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Model features of padded task features, each with the batch as first axis."""
        ...

    def loss_sums(
        self, params: PyTree[Array], batch: Mapping[str, Array], dropout_rng: Key[Array, ''] | None
    ) -> tuple[Float[Array, ''], Float[Array, ''], Mapping[str, Float[Array, '']]]:
        """Summed loss, summed weights, and sums of other metrics that the same weights normalise."""
        ...


@flax.struct.dataclass
class TrainState:
    """What a run carries from update to update; also the tree of its shapes, or of its shardings.

    Attributes:
      step: updates made, an int32 scalar.
      params: the network's parameters.
      opt_state: the optimizer's state.
    """

    step: Any
    params: Any
    opt_state: Any


def abstract_state(
    model: TrainableModel,
    optimizer: optax.GradientTransformation,
    features: Mapping[str, jax.ShapeDtypeStruct],
    mesh: Mesh,
    rules: LogicalRules,
) -> TrainState:
    """Shapes, types and shardings of the state, without making it.

    Args:
      model: the model.
      optimizer: the optimizer.
      features: shapes of the model's features.
      mesh: the mesh.
      rules: logical axis rules.

    Raises:
      ValueError: when a parameter cannot be sharded (see `mesh.parameter_shardings`).
    """
    variables = jax.eval_shape(lambda: _variables(model, 0, features))
    params = flax.core.unfreeze(variables['params'])
    params_axes = flax.core.unfreeze(variables['params_axes'])
    shardings = TrainState(
        step=replicated(mesh),
        params=(by_name := parameter_shardings(mesh, rules, params, params_axes)),
        opt_state=optimizer_shardings(mesh, optimizer, params, by_name),
    )
    shapes = TrainState(jax.ShapeDtypeStruct((), jnp.int32), params, jax.eval_shape(optimizer.init, params))
    return jax.tree.map(
        lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding),
        shapes,
        shardings,
    )


def initial_state(
    model: TrainableModel,
    optimizer: optax.GradientTransformation,
    features: Mapping[str, jax.ShapeDtypeStruct],
    seed: int,
    abstract: TrainState,
    rules: LogicalRules,
) -> TrainState:
    """The state before the first update; every device makes only its own shards.

    Args:
      model: the model.
      optimizer: the optimizer.
      features: shapes of the model's features.
      seed: of the initial parameters.
      abstract: what `abstract_state` gave.
      rules: logical axis rules.
    """

    def init() -> TrainState:
        params = flax.core.unfreeze(_variables(model, seed, features)['params'])
        return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))

    with partitioning.axis_rules(rules):
        return jax.jit(init, out_shardings=shardings_of(abstract))()


def shardings_of(abstract: PyTree[Any]) -> PyTree[Any]:
    """The shardings in a tree of arrays or their shapes."""
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def _variables(
    model: TrainableModel, seed: int, features: Mapping[str, jax.ShapeDtypeStruct]
) -> Mapping[str, Any]:
    shapes = {name: array.shape for name, array in features.items()}
    types = {name: array.dtype for name, array in features.items()}
    return model.get_initial_variables(jax.random.key(seed), shapes, types)
