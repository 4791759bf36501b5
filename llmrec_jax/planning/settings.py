"""The settings that a plan compares: batch, mesh, rules, optimizer sharding, rematerialization and dtype."""

import dataclasses
import itertools
from collections.abc import Sequence

from llmrec_jax.models.t5.config import REMAT_POLICIES
from llmrec_jax.planning.topology import Topology
from llmrec_jax.planning.workload import Workload
from llmrec_jax.training.mesh import RULE_SETS, MeshShape
from llmrec_jax.training.train_state import OPTIMIZER_SHARDINGS

RECIPE_RULES = 'recipe'
DTYPES = ('bfloat16', 'float32')


@dataclasses.dataclass(frozen=True)
class Setting:
    """One row of the table.

    Attributes:
      batch_size: examples an update.
      mesh: devices along data and model.
      rules: name of the logical axis rules; 'recipe' for rules without a name.
      optimizer_sharding: where moments lie.
      remat: what the backward pass may keep; None where the network has no such setting.
      dtype: of activations and multiplications; likewise.
    """

    batch_size: int
    mesh: tuple[int, int]
    rules: str
    optimizer_sharding: str
    remat: str | None
    dtype: str | None

    def apply(self, workload: Workload) -> Workload:
        """The workload under this setting."""
        workload = workload.with_network(remat=self.remat, dtype=self.dtype)
        rules = workload.trainer.logical_axis_rules if self.rules == RECIPE_RULES else RULE_SETS[self.rules]
        trainer = dataclasses.replace(
            workload.trainer,
            batch_size=self.batch_size,
            mesh=MeshShape(*self.mesh),
            logical_axis_rules=rules,
            optimizer_sharding=self.optimizer_sharding,
        )
        return dataclasses.replace(workload, trainer=trainer)


@dataclasses.dataclass(frozen=True)
class Grid:
    """The lists whose combinations are planned; an empty one stands for the recipe's own value.

    Attributes:
      batch_sizes: examples an update.
      meshes: devices along data and model.
      rules: names of logical axis rules.
      optimizer_shardings: where moments lie.
      remats: what the backward pass may keep.
      dtypes: of activations and multiplications.
    """

    batch_sizes: tuple[int, ...] = ()
    meshes: tuple[tuple[int, int], ...] = ()
    rules: tuple[str, ...] = ()
    optimizer_shardings: tuple[str, ...] = ()
    remats: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()

    def settings(self, workload: Workload, topology: Topology) -> list[Setting]:
        """All combinations, checked before anything is compiled.

        Raises:
          ValueError: for a name that does not exist, a setting that the network does not have, a mesh that is
            not the topology's size, or a batch that does not divide the mesh.
        """
        trainer, devices = workload.trainer, len(topology.devices)
        for flag, given, own in (
            ('--remat', self.remats, workload.remat),
            ('--dtypes', self.dtypes, workload.dtype),
        ):
            if given and own is None:
                raise ValueError(
                    f'{flag}: a {type(workload.model).__name__} has no such setting; leave it out'
                )
        for flag, given, known in (
            ('--rules', self.rules, RULE_SETS),
            ('--optimizer_sharding', self.optimizer_shardings, OPTIMIZER_SHARDINGS),
            ('--remat', self.remats, REMAT_POLICIES),
            ('--dtypes', self.dtypes, DTYPES),
        ):
            for name in given:
                if name not in known:
                    raise ValueError(f'{flag}: no {name!r}; there are {", ".join(known)}')
        meshes = self.meshes or (_recipe_mesh(trainer.mesh, devices),)
        for mesh in meshes:
            _check_mesh(mesh, topology)
        combinations = itertools.product(
            self.batch_sizes or (trainer.batch_size,),
            meshes,
            self.rules or (_rules_name(trainer.logical_axis_rules),),
            self.optimizer_shardings or (trainer.optimizer_sharding,),
            self.remats or (workload.remat,),
            self.dtypes or (workload.dtype,),
        )
        settings = [Setting(*combination) for combination in combinations]
        for setting in settings:
            _check_batch(setting, trainer.microbatches)
        return settings


def _recipe_mesh(mesh: MeshShape, devices: int) -> tuple[int, int]:
    return (devices // mesh.model if mesh.data is None else mesh.data), mesh.model


def _rules_name(rules: Sequence[tuple[str, object]]) -> str:
    return next((name for name, known in RULE_SETS.items() if known == rules), RECIPE_RULES)


def _check_mesh(mesh: tuple[int, int], topology: Topology) -> None:
    data, model = mesh
    devices = len(topology.devices)
    if data * model != devices:
        fitting = [f'{devices // size}x{size}' for size in range(1, devices + 1) if devices % size == 0]
        raise ValueError(
            f'mesh {data}x{model} (data x model) does not make the {devices} devices of {topology.name}; '
            f'meshes that do: {", ".join(fitting)}'
        )


def _check_batch(setting: Setting, microbatches: int) -> None:
    parts = setting.mesh[0] * microbatches
    if setting.batch_size < 1 or setting.batch_size % parts:
        nearest = max(round(setting.batch_size / parts), 1) * parts
        raise ValueError(
            f'a batch of {setting.batch_size} cannot be cut into {microbatches} microbatches over the '
            f'{setting.mesh[0]} data shards of mesh {setting.mesh[0]}x{setting.mesh[1]}: '
            f'it must be a multiple of {parts}, such as {nearest}'
        )
