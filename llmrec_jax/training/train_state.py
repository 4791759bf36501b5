"""What a run carries from step to step, and the tree in which checkpoints hold it.

The tree is T5X's, so that either engine goes on with the other's checkpoints.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import flax.core
import flax.struct
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization, traverse_util
from flax.linen import partitioning
from jax.sharding import Mesh
from jaxtyping import Array, Float, Key, PyTree

from llmrec_jax.training.frozen import held, joined, split
from llmrec_jax.training.mesh import (
    LogicalRules,
    optimizer_shardings,
    parameter_shardings,
    replicated,
    spread_over_data,
)

LOG = logging.getLogger(__name__)
# Where moments and gradients lie: as their parameters do, or shared over the data axis too.
PARAMETERS, DATA_AXIS = 'parameters', 'data'
OPTIMIZER_SHARDINGS = (PARAMETERS, DATA_AXIS)


@runtime_checkable
class TrainableModel(Protocol):
    """What the engine asks of a model; T5X's model protocol with the sums that exact accumulation needs.

    Attributes:
      in_batch_loss: whether an example's loss depends on which others are in its microbatch.
    """

    in_batch_loss: bool

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
      params: the parameters that are trained.
      opt_state: the optimizer's state.
      frozen: the network's other parameters, which no update changes and no checkpoint of the run holds;
        empty where all are trained.
    """

    step: Any
    params: Any
    opt_state: Any
    frozen: Any = flax.struct.field(default_factory=dict)

    @property
    def all_params(self) -> Any:
        """The network's parameters, trained and frozen."""
        return joined(self.params, self.frozen)


def abstract_state(
    model: TrainableModel,
    optimizer: optax.GradientTransformation,
    features: Mapping[str, jax.ShapeDtypeStruct],
    mesh: Mesh,
    rules: LogicalRules,
    optimizer_sharding: str = PARAMETERS,
    trained: Sequence[str] = (),
    frozen_dtype: str = 'float32',
) -> TrainState:
    """Shapes, types and shardings of the state, without making it.

    Args:
      model: the model.
      optimizer: the optimizer.
      features: shapes of the model's features.
      mesh: the mesh.
      rules: logical axis rules.
      optimizer_sharding: 'parameters' where moments lie as their parameters do, 'data' where the data axis
        shares them too (ZeRO stage 2, arXiv 1910.02054, section 5).
      trained: which parameters are trained, see `frozen.split`.
      frozen_dtype: of the others.

    Raises:
      ValueError: when a parameter cannot be sharded (see `mesh.parameter_shardings`), or nothing bears a name
        that is to be trained.
    """
    whole = abstract_params(model, features, mesh, rules)
    params, kept = split(held(whole, trained, frozen_dtype), trained)
    moments = shardings_of(moment_layout(params, optimizer_sharding))
    opt_state = jax.eval_shape(optimizer.init, params)
    return TrainState(
        step=jax.ShapeDtypeStruct((), jnp.int32, sharding=replicated(mesh)),
        params=params,
        opt_state=_with_shardings(opt_state, optimizer_shardings(mesh, optimizer, params, moments)),
        frozen=kept,
    )


def abstract_params(
    model: TrainableModel,
    features: Mapping[str, jax.ShapeDtypeStruct],
    mesh: Mesh,
    rules: LogicalRules,
) -> PyTree[jax.ShapeDtypeStruct]:
    """Shapes, types and shardings of the parameters, without making them.

    Args:
      model: the model.
      features: shapes of the model's features.
      mesh: the mesh.
      rules: logical axis rules.

    Raises:
      ValueError: when a parameter cannot be sharded (see `mesh.parameter_shardings`).
    """
    variables = jax.eval_shape(lambda: _variables(model, 0, features))
    params = flax.core.unfreeze(variables['params'])
    params_axes = flax.core.unfreeze(variables['params_axes'])
    return _with_shardings(params, parameter_shardings(mesh, rules, params, params_axes))


def check_optimizer_sharding(name: str) -> None:
    """Checks a name of where moments and gradients lie.

    Raises:
      ValueError: when it is none of `OPTIMIZER_SHARDINGS`.
    """
    if name not in OPTIMIZER_SHARDINGS:
        raise ValueError(f'optimizer_sharding={name!r} must be one of {", ".join(OPTIMIZER_SHARDINGS)}')


def moment_layout(params: PyTree[jax.ShapeDtypeStruct], optimizer_sharding: str) -> PyTree[Any]:
    """Shapes of the parameters with the shardings that gradients and moments have.

    Raises:
      ValueError: as `check_optimizer_sharding` raises it.
    """
    check_optimizer_sharding(optimizer_sharding)
    if optimizer_sharding == PARAMETERS:
        return params
    return _with_shardings(params, jax.tree.map(spread_over_data, params))


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


def drawn_params(
    model: TrainableModel,
    features: Mapping[str, jax.ShapeDtypeStruct],
    seed: int,
    abstract: PyTree[jax.ShapeDtypeStruct],
    rules: LogicalRules,
    paths: Sequence[str],
) -> dict[str, Array]:
    """The parameters at some paths as `initial_state` draws them; no others are made.

    Args:
      model: the model.
      features: shapes of the model's features.
      seed: of the initial parameters.
      abstract: shapes and shardings of all parameters.
      rules: logical axis rules.
      paths: levels joined by '/'.
    """
    if not paths:
        return {}

    def chosen(params: Any) -> dict[str, Any]:
        named = flax.traverse_util.flatten_dict(flax.core.unfreeze(params), sep='/')
        return {path: named[path] for path in paths}

    def init() -> dict[str, Array]:
        return chosen(_variables(model, seed, features)['params'])

    with partitioning.axis_rules(rules):
        return jax.jit(init, out_shardings=shardings_of(chosen(abstract)))()


def fresh_state(
    params: PyTree[Array],
    optimizer: optax.GradientTransformation,
    abstract: TrainState,
    kept: PyTree[Array] | None = None,
) -> TrainState:
    """The state before the first update of `params`, which are donated.

    Args:
      params: those that are trained, laid out as in `abstract`.
      optimizer: the optimizer, whose state starts anew.
      abstract: what `abstract_state` gave.
      kept: the frozen parameters; None where there are none.
    """

    LOG.info('the optimizer starts anew')

    def init(params: PyTree[Array]) -> TrainState:
        return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))

    shardings = shardings_of(abstract.replace(frozen={}))
    state = jax.jit(init, out_shardings=shardings, donate_argnums=0)(params)
    return state.replace(frozen=kept or {})


def shardings_of(abstract: PyTree[Any]) -> PyTree[Any]:
    """The shardings in a tree of arrays or their shapes."""
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def _with_shardings(shapes: PyTree[Any], shardings: PyTree[Any]) -> PyTree[jax.ShapeDtypeStruct]:
    return jax.tree.map(
        lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding),
        shapes,
        shardings,
    )


def _variables(
    model: TrainableModel, seed: int, features: Mapping[str, jax.ShapeDtypeStruct]
) -> Mapping[str, Any]:
    shapes = {name: array.shape for name, array in features.items()}
    types = {name: array.dtype for name, array in features.items()}
    return model.get_initial_variables(jax.random.key(seed), shapes, types)


def to_tree(state: TrainState) -> dict[str, Any]:
    """`{'target': params, 'state': {'step': ..., 'param_states': ...}}`, dictionaries all the way down.

    Frozen parameters are left out.
    The parts of optax's state go by their place or name, and those that hold nothing are left out, as T5X
    does because it cannot restore an empty mapping.
    """
    carried = {'step': state.step, 'param_states': serialization.to_state_dict(state.opt_state)}
    return {
        'target': state.params,
        'state': traverse_util.unflatten_dict(traverse_util.flatten_dict(carried)),
    }


def from_tree(tree: dict[str, Any], like: TrainState) -> TrainState:
    """The state that `to_tree` made `tree` of, in the types of `like`, without frozen parameters."""
    held = traverse_util.flatten_dict(tree['state'])
    optimizer = traverse_util.flatten_dict(
        {'param_states': serialization.to_state_dict(like.opt_state)}, keep_empty_nodes=True
    )
    filled = traverse_util.unflatten_dict({path: held.get(path, empty) for path, empty in optimizer.items()})
    return TrainState(
        step=tree['state']['step'],
        params=tree['target'],
        opt_state=serialization.from_state_dict(like.opt_state, filled.get('param_states', {})),
    )
