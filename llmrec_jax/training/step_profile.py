"""A profile of chosen steps, for TensorBoard's profiler or Perfetto."""

import os

import jax
from jaxtyping import PyTree


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
