"""How fast a run computes, its share of the devices' peak, and profiles of chosen steps."""

import os
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
from jaxtyping import PyTree

from llmrec_jax.training.chips import chip_of


@runtime_checkable
class CountsFlops(Protocol):
    """A model that knows the model FLOPs of its training step."""

    def train_flops(self, features: Mapping[str, Any]) -> int:
        """Model FLOPs, forward and backward, of features of these shapes."""
        ...


class FlopsCounter:
    """Model FLOPs of steps; nothing where the model does not know them."""

    def __init__(
        self,
        model: object,
        features: Mapping[Hashable, Mapping[str, jax.ShapeDtypeStruct]],
        device_kinds: Iterable[str],
    ):
        """Counts once for every padded shape.

        Args:
          model: the model.
          features: padded shape to the shapes of a microbatch's features.
          device_kinds: what JAX calls each device of the mesh.
        """
        counts = isinstance(model, CountsFlops)
        self._flops = {shape: model.train_flops(sizes) for shape, sizes in features.items() if counts}
        chips = [chip_of(kind) for kind in device_kinds]
        self._peak = None if None in chips else sum(chip.peak_flops for chip in chips)

    def of(self, shapes: Iterable[Hashable]) -> int:
        """Model FLOPs of a step whose microbatches are padded to these shapes."""
        return sum(self._flops.get(shape, 0) for shape in shapes)

    def rates(self, flops: int, seconds: float) -> dict[str, float]:
        """What the log says of `flops` made in `seconds`.

        Returns:
          'model_tflops_per_second' of all devices, and 'model_flops_utilization', its share of their bf16
          peak, where that is known; nothing where the model's FLOPs are not.
        """
        if not self._flops:
            return {}
        rate = flops / max(seconds, 1e-9)
        known = {} if self._peak is None else {'model_flops_utilization': rate / self._peak}
        return {'model_tflops_per_second': rate / 1e12, **known}


class StepProfile:
    """Traces host and devices from the first to the last of the chosen steps."""

    def __init__(self, steps: tuple[int, int] | None, folder: str | os.PathLike):
        """Prepares a trace.

        Args:
          steps: first and last step, both included, counted from 1 as in metrics.jsonl; None for no trace.
          folder: receives it.
        """
        self._steps, self._folder, self._tracing = steps, folder, False

    def before(self, step: int, state: PyTree) -> None:
        """Starts the trace, once `state` is computed, if `step` is the first of the steps that are left."""
        if self._steps and not self._tracing and self._steps[0] <= step <= self._steps[1]:
            jax.block_until_ready(state)
            jax.profiler.start_trace(self._folder)
            self._tracing = True

    def after(self, step: int, state: PyTree) -> None:
        """Ends the trace, once `state` is computed, if `step` is the last one."""
        if self._tracing and step >= self._steps[1]:
            jax.block_until_ready(state)
            self.close()

    def close(self) -> None:
        """Ends the trace if one is being made."""
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing, self._steps = False, None
