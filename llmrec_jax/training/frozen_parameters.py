"""An optimizer for a part of the parameters; the others stay as they are and have no moments."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import optax
from jaxtyping import PyTree

from llmrec_jax.training.optimizers import Optimizer
from llmrec_jax.training.schedules import Schedule

TRAINED, FROZEN = 'trained', 'frozen'


@dataclasses.dataclass(frozen=True)
class PartlyFrozen:
    """Trains all parameters but some.

    Attributes:
      optimizer: of the others; norms that it clips are those of their gradients alone.
      frozen: the parameters that stay, by their paths or what these begin with, e.g. 'sequence_encoder'.

    Raises:
      ValueError: when nothing is to be frozen.
    """

    optimizer: Optimizer
    frozen: Sequence[str]

    def __post_init__(self):
        # gin hands over lists.
        object.__setattr__(self, 'frozen', tuple(self.frozen))
        if not self.frozen:
            raise ValueError('PartlyFrozen.frozen names no parameter: use its optimizer as it is')

    @property
    def learning_rate(self) -> Schedule:
        """The schedule of the parameters that are trained."""
        return self.optimizer.learning_rate

    def build(self) -> optax.GradientTransformation:
        """The gradient transformation; its `init` raises ValueError where a name is no parameter's."""
        transforms = {TRAINED: self.optimizer.build(), FROZEN: optax.set_to_zero()}
        return optax.partition(transforms, self._labels)

    def _labels(self, params: PyTree[Any]) -> PyTree[str]:
        paths = [_path(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        # optax asks for the state of a placeholder without leaves, to tell moments from other state.
        for prefix in self.frozen if paths else ():
            if not any(_under(path, prefix) for path in paths):
                raise ValueError(
                    f'PartlyFrozen.frozen names {prefix!r}, but the network has no such parameter; it has '
                    f'{", ".join(sorted({"/".join(path.split("/")[:2]) for path in paths}))}'
                )

        def label(path: Any, _: Any) -> str:
            return FROZEN if any(_under(_path(path), prefix) for prefix in self.frozen) else TRAINED

        return jax.tree_util.tree_map_with_path(label, params)


def _under(path: str, prefix: str) -> bool:
    return f'{path}/'.startswith(f'{prefix}/')


def _path(path: Any) -> str:
    return '/'.join(str(getattr(key, 'key', key)) for key in path)
