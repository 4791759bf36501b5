"""Optimizers as configuration: what optax builds, chosen field by field.

Where only a part of the parameters trains, the others stay as they are and have no moments.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import optax
from jaxtyping import PyTree

from llmrec_jax import marks
from llmrec_jax.training.schedules import Schedule


@runtime_checkable
class Optimizer(Protocol):
    """A configuration that optax can be built from.

    Attributes:
      learning_rate: the schedule, which the trainer also logs.
    """

    learning_rate: Schedule

    def build(self) -> optax.GradientTransformation:
        """The gradient transformation."""
        ...


@dataclasses.dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).

    Attributes:
      learning_rate: schedule of the step size.
      b1: decay of the first moment.
      b2: decay of the second moment.
      eps: added to the root of the second moment.
      weight_decay: decay rate, multiplied by the learning rate.
      undecayed: parameters without weight decay, by the last part of their names: in T5 norms hold a `scale`.
      clip_norm: largest global norm of a gradient; None for no clipping.
    """

    learning_rate: Schedule
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    undecayed: tuple[str, ...] = ('scale', 'bias')
    clip_norm: float | None = 1.0

    def build(self) -> optax.GradientTransformation:
        """The gradient transformation."""
        adamw = optax.adamw(
            self.learning_rate,
            self.b1,
            self.b2,
            self.eps,
            weight_decay=self.weight_decay,
            mask=lambda params: _decayed(params, self.undecayed),
        )
        return _clipped(adamw, self.clip_norm)


@dataclasses.dataclass(frozen=True)
class Adafactor:
    """Adafactor (Shazeer and Stern, arXiv 1804.04235), the optimizer T5 and TIGER were trained with.

    Attributes:
      learning_rate: schedule of the step size; relative to the parameters' root mean square when
        `multiply_by_parameter_scale`.
      decay_rate: exponent of the second moment's decay, section 7.2.
      multiply_by_parameter_scale: relative step sizes, section 8.
      clipping_threshold: largest root mean square of an update, section 6; None for no clipping.
      min_dim_size_to_factor: smaller dimensions keep the full second moment.
      weight_decay: decay rate a step.
      undecayed: parameters without weight decay, by the last part of their names.
      clip_norm: largest global norm of a gradient; None for no clipping.
    """

    learning_rate: Schedule
    decay_rate: float = 0.8
    multiply_by_parameter_scale: bool = True
    clipping_threshold: float | None = 1.0
    min_dim_size_to_factor: int = 128
    weight_decay: float = 0.0
    undecayed: tuple[str, ...] = ('scale', 'bias')
    clip_norm: float | None = None

    def build(self) -> optax.GradientTransformation:
        """The gradient transformation."""
        adafactor = optax.adafactor(
            self.learning_rate,
            min_dim_size_to_factor=self.min_dim_size_to_factor,
            decay_rate=self.decay_rate,
            multiply_by_parameter_scale=self.multiply_by_parameter_scale,
            clipping_threshold=self.clipping_threshold,
            weight_decay_rate=self.weight_decay or None,
            weight_decay_mask=lambda params: _decayed(params, self.undecayed),
        )
        return _clipped(adafactor, self.clip_norm)


def _clipped(
    optimizer: optax.GradientTransformation, clip_norm: float | None
) -> optax.GradientTransformation:
    return optimizer if clip_norm is None else optax.chain(optax.clip_by_global_norm(clip_norm), optimizer)


def _decayed(params: PyTree[Any], undecayed: tuple[str, ...]) -> PyTree[bool]:
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key not in undecayed, params)


TRAINED, FROZEN = 'trained', 'frozen'


@dataclasses.dataclass(frozen=True)
class PartlyFrozen:
    """Trains all parameters but some.

    Attributes:
      optimizer: of the others; norms that it clips are those of their gradients alone.
      frozen: the parameters that stay, by their paths or what these begin with, e.g. 'sequence_encoder'.
      except_for: parameters under these that are trained all the same, likewise, e.g.
        'sequence_encoder/input_norm'.

    Raises:
      ValueError: when nothing is to be frozen.
    """

    optimizer: Optimizer
    frozen: Sequence[str]
    except_for: Sequence[str] = marks.silent_default(())

    def __post_init__(self):
        # gin hands over lists.
        object.__setattr__(self, 'frozen', tuple(self.frozen))
        object.__setattr__(self, 'except_for', tuple(self.except_for))
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
        named = [('frozen', prefix) for prefix in self.frozen]
        named += [('except_for', prefix) for prefix in self.except_for]
        for field, prefix in named if paths else ():
            if not any(_under(path, prefix) for path in paths):
                raise ValueError(
                    f'PartlyFrozen.{field} names {prefix!r}, but the network has no such parameter; it has '
                    f'{", ".join(sorted({"/".join(path.split("/")[:2]) for path in paths}))}'
                )

        def label(path: Any, _: Any) -> str:
            under = [
                any(_under(_path(path), name) for name in names) for names in (self.frozen, self.except_for)
            ]
            return FROZEN if under == [True, False] else TRAINED

        return jax.tree_util.tree_map_with_path(label, params)


def _under(path: str, prefix: str) -> bool:
    return f'{path}/'.startswith(f'{prefix}/')


def _path(path: Any) -> str:
    return '/'.join(str(getattr(key, 'key', key)) for key in path)
