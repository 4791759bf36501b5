"""T5X's partitioner over the recipe's own mesh."""

import functools

from jax.sharding import Mesh
from t5x import partitioning

from llmrec_jax.training.mesh import LogicalRules, MeshShape


class MeshPartitioner(partitioning.PjitPartitioner):
    """Shares batch and model among devices as the embedded engine does.

    T5X's own choice of a mesh ignores `num_partitions` on a CPU, where it shares the model among all devices,
    and has no table for TPU v5e, v5p and v6e. The axes and their rules are the same.
    """

    def __init__(self, mesh_shape: MeshShape, logical_axis_rules: LogicalRules):
        """Takes the mesh and the rules of a `Trainer`; nothing is built until `mesh` is asked for."""
        # T5X insists on a number of partitions, which `mesh` below makes moot.
        super().__init__(num_partitions=mesh_shape.model, logical_axis_rules=logical_axis_rules)
        self._mesh_shape = mesh_shape

    @functools.cached_property
    def mesh(self) -> Mesh:
        """The mesh over this run's devices; see `MeshShape.build`."""
        return self._mesh_shape.build()
