"""Learning-rate schedules: learning rate as a function of the number of updates made before."""

import abc
import dataclasses
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


@runtime_checkable
class Schedule(Protocol):
    """Anything that gives the learning rate of the update after `step` others."""

    def __call__(self, step: int | Int[Array, '']) -> Float[Array, '']:
        """Learning rate at `step`, counted from 0."""
        ...


@dataclasses.dataclass(frozen=True)
class Constant:
    """`value` throughout."""

    value: float

    def __call__(self, step: int | Int[Array, '']) -> Float[Array, '']:
        """Learning rate at `step`, counted from 0."""
        return jnp.full_like(step, self.value, jnp.float32)


@dataclasses.dataclass(frozen=True)
class InverseSquareRoot:
    """`peak` for `constant_steps`, then `peak * sqrt(constant_steps / step)`.

    TIGER, section 4 (implementation details): 0.01 for the first 10,000 steps, then inverse square root
    decay.

    Attributes:
      peak: the learning rate at first.
      constant_steps: how long it stays.

    Raises:
      ValueError: when `constant_steps` is below 1.
    """

    peak: float = 0.01
    constant_steps: int = 10_000

    def __post_init__(self):
        if self.constant_steps < 1:
            raise ValueError(f'constant_steps={self.constant_steps} must be at least 1')

    def __call__(self, step: int | Int[Array, '']) -> Float[Array, '']:
        """Learning rate at `step`, counted from 0."""
        return self.peak * jnp.sqrt(self.constant_steps / jnp.maximum(step, self.constant_steps))


@dataclasses.dataclass(frozen=True)
class _Warmup(abc.ABC):
    """Linear from 0 to `peak` in `warmup_steps`, then down to `end` at `total_steps`.

    Attributes:
      peak: the largest learning rate.
      warmup_steps: updates until it is reached.
      total_steps: updates until `end` is reached, warm-up included.
      end: the last learning rate.

    Raises:
      ValueError: when the warm-up is not shorter than the whole.
    """

    peak: float
    warmup_steps: int
    total_steps: int
    end: float = 0.0

    def __post_init__(self):
        if not 0 <= self.warmup_steps < self.total_steps:
            raise ValueError(
                f'warmup_steps={self.warmup_steps} must lie between 0 and total_steps={self.total_steps}'
            )

    def __call__(self, step: int | Int[Array, '']) -> Float[Array, '']:
        """Learning rate at `step`, counted from 0."""
        warmup = optax.linear_schedule(0.0, self.peak, max(self.warmup_steps, 1))
        decay = self._decay(self.total_steps - self.warmup_steps)
        return optax.join_schedules([warmup, decay], [self.warmup_steps])(step)

    @abc.abstractmethod
    def _decay(self, steps: int) -> optax.Schedule:
        """From `peak` to `end` in so many updates."""


@dataclasses.dataclass(frozen=True)
class WarmupCosine(_Warmup):
    """Linear from 0 to `peak` in `warmup_steps`, then half a cosine down to `end` at `total_steps`."""

    def _decay(self, steps: int) -> optax.Schedule:
        return optax.cosine_decay_schedule(self.peak, steps, alpha=self.end / self.peak)


@dataclasses.dataclass(frozen=True)
class WarmupLinear(_Warmup):
    """Linear from 0 to `peak` in `warmup_steps`, then linear down to `end` at `total_steps`."""

    def _decay(self, steps: int) -> optax.Schedule:
        return optax.linear_schedule(self.peak, self.end, steps)
