"""The device mesh, the rules from logical axes to its axes, and the shardings that follow."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax
from flax.linen import partitioning
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

DATA = 'data'
MODEL = 'model'

# Logical axis to mesh axis, to several, or to None for an axis that is not shared. A mesh axis shares one
# dimension of an array: where two have a rule for it, the earlier rule's.
LogicalRules = tuple[tuple[str, str | tuple[str, ...] | None], ...]

# The names T5X gives the axes of parameters and activations, and that of the rank of adapters.
STANDARD_RULES: LogicalRules = (
    ('batch', DATA),
    ('vocab', MODEL),
    ('mlp', MODEL),
    ('heads', MODEL),
    ('joined_kv', MODEL),
    ('kv', None),
    ('embed', None),
    ('relpos_buckets', None),
    ('abspos_buckets', None),
    ('length', None),
    ('layers', None),
    ('stack', None),
    ('lora_rank', None),
    ('mlp_activations', None),
)
# Parameters, and with them gradients and optimizer state, over data x model (FSDP, ZeRO stage 3). An
# activation has 'batch' on the data axis already, so that its 'embed' stays whole.
FSDP_RULES: LogicalRules = tuple((name, DATA if name == 'embed' else axis) for name, axis in STANDARD_RULES)
RULE_SETS = {'standard': STANDARD_RULES, 'fsdp': FSDP_RULES}


@dataclasses.dataclass(frozen=True)
class MeshShape:
    """How many devices share the batch, and how many share each replica of the model.

    Attributes:
      data: size of the 'data' axis; None for all devices that `model` leaves.
      model: size of the 'model' axis.
    """

    data: int | None = None
    model: int = 1

    def build(self, devices: Sequence[Any] | None = None) -> Mesh:
        """The mesh.

        Args:
          devices: what to build it over; None for this run's devices.

        Raises:
          ValueError: when the sizes do not divide or exceed the devices.
        """
        devices = jax.devices() if devices is None else list(devices)
        data = len(devices) // self.model if self.data is None else self.data
        used = data * self.model
        uneven = self.data is None and used != len(devices)
        if uneven or not 0 < used <= len(devices) or (jax.process_count() > 1 and used != len(devices)):
            raise ValueError(
                f'mesh data={self.data} x model={self.model} does not fit the {len(devices)} devices of this '
                f'run; choose a model size that divides {len(devices)}, and data=None for the rest'
            )
        axis_types = (AxisType.Auto, AxisType.Auto)
        # A v5p or v6e slice of 4 x 4 chips has no axis of 2, so an axis of the slice may be split.
        grid = mesh_utils.create_device_mesh(
            (data, self.model), devices[:used], allow_split_physical_axes=True
        )
        return Mesh(grid, (DATA, MODEL), axis_types=axis_types)


def logical_rules(rules: LogicalRules | str) -> LogicalRules:
    """The rules themselves, or those of a name in `RULE_SETS`.

    Raises:
      ValueError: for a name that no set bears.
    """
    if not isinstance(rules, str):
        return tuple((name, tuple(axis) if isinstance(axis, list) else axis) for name, axis in rules)
    if rules not in RULE_SETS:
        raise ValueError(f'logical_axis_rules={rules!r} must be rules or one of {", ".join(RULE_SETS)}')
    return RULE_SETS[rules]


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh, rules: LogicalRules) -> NamedSharding:
    """The sharding of arrays whose first axis is the batch."""
    return NamedSharding(mesh, _mesh_axes(('batch',), rules))


def check_batch(mesh: Mesh, rules: LogicalRules, microbatch_size: int) -> None:
    """Checks that a microbatch can be shared among the devices.

    Raises:
      ValueError: when it cannot.
    """
    shards = _axis_size(mesh, _mesh_axes(('batch',), rules)[0])
    if microbatch_size % shards:
        raise ValueError(
            f'{microbatch_size} examples a microbatch cannot be shared among {shards} devices; '
            f'change batch_size, microbatches or the mesh'
        )


def parameter_shardings(
    mesh: Mesh, rules: LogicalRules, params: PyTree[Any], params_axes: PyTree[Any]
) -> PyTree[NamedSharding]:
    """Shardings of parameters from the logical names of their axes.

    Args:
      mesh: the mesh.
      rules: logical axis rules.
      params: the parameters, or their shapes.
      params_axes: flax's collection of that name, as `flax.linen.partitioning.param_with_axes` fills it.

    Raises:
      ValueError: when a parameter has no names, a name no rule, or a dimension does not divide by its mesh
        axis; the message names the parameter.
    """
    names = partitioning.get_axis_names(params_axes)
    named = {_path(path): spec for path, spec in _leaves(names)}

    def sharding(path: Any, param: Any) -> NamedSharding:
        name = _path(path)
        if name not in named:
            raise ValueError(f'parameter {name} has no logical axis names; declare it with param_with_axes')
        return NamedSharding(mesh, _parameter_spec(mesh, rules, name, param.shape, tuple(named[name])))

    return jax.tree_util.tree_map_with_path(sharding, params)


def optimizer_shardings(
    mesh: Mesh, optimizer: optax.GradientTransformation, params: PyTree[Any], shardings: PyTree[NamedSharding]
) -> PyTree[NamedSharding]:
    """Shardings of an optimizer's state: moments lie as their parameters do, everything else is replicated.

    A factored moment has its parameter's shape less one axis, and is shared over the axes that are left.
    """

    def moment(leaf: Any, param: Any, sharding: NamedSharding) -> NamedSharding | optax.MaskedNode:
        if isinstance(leaf, optax.MaskedNode):
            return leaf
        spec = tuple(sharding.spec) + (None,) * (len(param.shape) - len(sharding.spec))
        kept = [(param.shape, spec)]
        for axis in range(len(param.shape)):
            kept.append((param.shape[:axis] + param.shape[axis + 1 :], spec[:axis] + spec[axis + 1 :]))
        matching = next((candidate for shape, candidate in kept if shape == leaf.shape), ())
        return NamedSharding(mesh, PartitionSpec(*matching))

    state = jax.eval_shape(optimizer.init, params)
    return optax.tree_map_params(
        optimizer,
        moment,
        state,
        params,
        shardings,
        transform_non_params=lambda _: replicated(mesh),
        # What stands in the place of a frozen parameter's moment.
        is_leaf=lambda leaf: isinstance(leaf, optax.MaskedNode),
    )


def spread_over_data(param: jax.ShapeDtypeStruct) -> NamedSharding:
    """The sharding of a parameter's gradient and moments where the data axis shares them (ZeRO).

    The data axis goes to the largest dimension, as its model shards leave it, that it divides; an array that
    it divides nowhere (a norm's scale, a bias of a few heads) lies as the parameter does.

    Args:
      param: shape and sharding of the parameter.
    """
    sharding = param.sharding
    spec = [_names(axis) for axis in tuple(sharding.spec) + (None,) * (param.ndim - len(sharding.spec))]
    if any(DATA in names for names in spec):
        return sharding
    left = [size // _axis_size(sharding.mesh, names) for size, names in zip(param.shape, spec)]
    divisible = [axis for axis, size in enumerate(left) if size % sharding.mesh.shape[DATA] == 0]
    if not divisible:
        return sharding
    widest = max(divisible, key=lambda axis: left[axis])
    spec[widest] = (*spec[widest], DATA)
    axes = (names[0] if len(names) == 1 else names or None for names in spec)
    return NamedSharding(sharding.mesh, PartitionSpec(*axes))


def rows_of_this_process(sharding: NamedSharding, batch_size: int) -> slice:
    """The rows of a batch that this process's devices hold, as one range."""
    indices = sharding.addressable_devices_indices_map((batch_size,)).values()
    bounds = [index[0].indices(batch_size) for index in indices]
    return slice(min(start for start, _, _ in bounds), max(stop for _, stop, _ in bounds))


def over_devices_of(params: PyTree[Any]) -> NamedSharding:
    """Rows dealt out to all devices, in the mesh of the parameters, or in a new one where they have none."""
    placed = getattr(jax.tree.leaves(params)[0], 'sharding', None)
    if isinstance(placed, NamedSharding):
        mesh = placed.mesh
    else:
        mesh = jax.make_mesh((jax.device_count(),), (DATA,), axis_types=(AxisType.Auto,))
    return NamedSharding(mesh, PartitionSpec(tuple(mesh.axis_names)))


def place(
    batch: Mapping[str, np.ndarray],
    sharding: NamedSharding,
    rows: slice = slice(None),
    batch_size: int | None = None,
) -> dict[str, jax.Array]:
    """Puts a batch on the devices; each process copies only its own shards.

    Args:
      batch: the arrays of the batch, or this process's rows of them.
      sharding: over the first axis.
      rows: which rows of the batch these are, e.g. what `rows_of_this_process` says.
      batch_size: rows of the batch, over all processes; None where `batch` is whole.
    """

    def put(array: np.ndarray) -> jax.Array:
        size = len(array) if batch_size is None else batch_size
        first = rows.indices(size)[0]

        def shard(index: tuple[slice, ...]) -> np.ndarray:
            start, stop, _ = index[0].indices(size)
            return array[start - first : stop - first]

        return jax.make_array_from_callback((size, *array.shape[1:]), sharding, shard)

    return {name: put(array) for name, array in batch.items()}


def _parameter_spec(
    mesh: Mesh, rules: LogicalRules, name: str, shape: tuple[int, ...], axes: tuple[str, ...]
) -> PartitionSpec:
    if len(axes) != len(shape):
        raise ValueError(f'parameter {name} of shape {shape} has {len(axes)} axis names: {axes}')
    spec = _mesh_axes(axes, rules)
    for axis, mesh_axis, size in zip(axes, spec, shape):
        shards = _axis_size(mesh, mesh_axis)
        if size % shards:
            raise ValueError(
                f'parameter {name}: axis {axis!r} of size {size} does not divide by the {shards} devices of '
                f'mesh axis {mesh_axis!r}; change the size, the mesh or the rule for {axis!r}'
            )
    return spec


def _mesh_axes(logical: tuple[str, ...], rules: LogicalRules) -> PartitionSpec:
    known = dict(rules)
    for name in logical:
        if name not in known:
            raise ValueError(f'no rule for logical axis {name!r}; the rules name {", ".join(known)}')
    return partitioning.logical_to_mesh_axes(logical, rules)


def _axis_size(mesh: Mesh, axis: str | tuple[str, ...] | None) -> int:
    return math.prod(mesh.shape[name] for name in _names(axis))


def _names(axis: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (axis,) if isinstance(axis, str) else axis or ()


def _leaves(names: PyTree[Any]) -> list[tuple[Any, PartitionSpec]]:
    return jax.tree_util.tree_leaves_with_path(names, is_leaf=lambda leaf: isinstance(leaf, PartitionSpec))


def _path(path: Any) -> str:
    return '/'.join(str(getattr(key, 'key', getattr(key, 'name', key))) for key in path)
