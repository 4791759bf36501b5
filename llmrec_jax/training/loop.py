"""The loop over steps: train, log, validate, save, stop."""

import contextlib
import dataclasses
import math
import pathlib
import resource
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Protocol, runtime_checkable

import jax
from jaxtyping import Array, PyTree

from llmrec_jax.training import processes
from llmrec_jax.training.batches import prefetched
from llmrec_jax.training.checkpoints import Checkpoints
from llmrec_jax.training.early_stopping import BestMetric, EarlyStopping
from llmrec_jax.training.metrics_log import MetricsLog, Progress
from llmrec_jax.training.optimizers import Optimizer
from llmrec_jax.training.profiling import FlopsCounter, StepProfile
from llmrec_jax.training.step import TrainStep
from llmrec_jax.training.train_state import TrainState

Feed = list[tuple[Hashable, Mapping[str, Array]]]
Validate = Callable[[PyTree[Array], int], Mapping[str, float]]


class DivergedError(RuntimeError):
    """The loss or its gradient is no longer finite."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during training; the message says what is kept."""


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """What a call of `Trainer.fit` did.

    Attributes:
      first_step: updates that were already made when it began.
      final_step: updates made in the end; fewer than asked for where early stopping ended the run.
      checkpoint: the newest checkpoint.
      best_step: the step with the best validation; None without validation.
      best_checkpoint: its checkpoint.
      best_value: its value of the best metric.
      training_seconds: what the steps took, over all parts of a run that was killed and went on; validation,
        checkpoints and compilation left out, and so are steps that a kill lost. None where a part did not
        keep it.
      wall_seconds: from the first batch of this call to the last checkpoint, compilation of the step left
        out.
      examples_per_second: trained in this call, validation and checkpoints left out; None when it made no
        step.
      peak_host_bytes: largest resident memory of the process so far.
      peak_device_bytes: largest memory in use on the first device, where the device tells.
    """

    first_step: int
    final_step: int
    checkpoint: pathlib.Path
    best_step: int | None
    best_checkpoint: pathlib.Path | None
    best_value: float | None
    training_seconds: float | None
    wall_seconds: float
    examples_per_second: float | None
    peak_host_bytes: int
    peak_device_bytes: int | None


@runtime_checkable
class LoopConfig(Protocol):
    """The fields of a trainer that the loop reads; see `trainer.Trainer`."""

    steps: int
    batch_size: int
    log_every: int
    validate_every: int
    checkpoint_every: int
    optimizer: Optimizer
    best_metric: BestMetric
    early_stopping: EarlyStopping | None


class Loop:
    """Drives compiled steps over batches made in the background."""

    def __init__(
        self,
        config: LoopConfig,
        train_step: TrainStep,
        feed: Callable[[int], Feed],
        checkpoints: Checkpoints,
        log: MetricsLog,
        validate: Validate | None,
        flops: FlopsCounter,
        profile: StepProfile,
    ):
        """Collects the parts; `feed` gives the placed microbatches of a step, as a pure function of it."""
        self._config, self._train_step, self._feed = config, train_step, feed
        self._flops, self._profile = flops, profile
        self._checkpoints, self._log, self._validate = checkpoints, log, validate
        # After a damaged checkpoint was deleted, a best step that went with it no longer counts as reached.
        saved = processes.from_first(checkpoints.steps)
        self._best = config.best_metric.best([row for row in log.validations if row['step'] in saved])
        checkpoints.keep_best(self._best['step'] if self._best else None)
        self._training_seconds = 0.0
        self._logged_at = (0, 0.0)
        self._flops_since_log = 0
        self._made = 0

    def run(self, state: TrainState, first: int) -> TrainResult:
        """Goes on from `first` updates to the end.

        Raises:
          DivergedError: when the loss or its gradient is not finite.
          TrainingInterrupted: on Ctrl-C.
        """
        self._made = first
        try:
            return self._run(state, first)
        except KeyboardInterrupt as interrupt:
            self._checkpoints.wait()
            saved = self._checkpoints.steps()
            kept = f'the newest checkpoint is of step {saved[-1]}' if saved else 'there is no checkpoint yet'
            raise TrainingInterrupted(
                f'stopped at step {self._made}; {kept}; the same command goes on from there'
            ) from interrupt

    def _run(self, state: TrainState, first: int) -> TrainResult:
        config, step, started = self._config, first, time.monotonic()
        self._logged_at = (first, 0.0)
        with (
            contextlib.closing(self._profile),
            contextlib.closing(prefetched(self._feed, first, config.steps)) as batches,
            contextlib.closing(Progress(first, config.steps, config.batch_size)) as progress,
        ):
            while step < config.steps and not self._stops():
                end = self._next_boundary(step)
                state = self._train(state, step, end, batches, progress)
                step = end
                self._validate_and_save(state, step)
            if step == first and self._validate and self._best is None:
                # T5X made all steps, so nothing was judged yet; the checkpoint is there.
                self._judge(state, step)
                self._checkpoints.keep_best(step)
        self._checkpoints.wait()
        return self._result(first, step, time.monotonic() - started)

    def _next_boundary(self, step: int) -> int:
        periods = [self._config.checkpoint_every, *([self._config.validate_every] if self._validate else [])]
        return min(self._config.steps, *(step - step % period + period for period in periods))

    def _train(
        self, state: TrainState, first: int, last: int, batches: Iterator[Feed], progress: Progress
    ) -> TrainState:
        started = time.monotonic()
        pending: tuple[int, int, Mapping[str, Array]] | None = None
        for step in range(first, last):
            feed = next(batches)
            self._profile.before(step + 1, state)
            state, metrics = self._train_step(state, step, feed)
            self._made = step + 1
            self._profile.after(step + 1, state)
            # The previous step's metrics are fetched only now: the device is busy while the host waits.
            if pending:
                self._settle(*pending, started, progress)
            pending = (step + 1, self._flops.of(length for length, _ in feed), metrics)
        if pending:
            self._settle(*pending, started, progress)
        self._training_seconds += time.monotonic() - started
        return state

    def _settle(
        self, step: int, flops: int, metrics: Mapping[str, Array], started: float, progress: Progress
    ) -> None:
        row = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if not math.isfinite(row['loss']) or not math.isfinite(row['grad_norm']):
            self._checkpoints.wait()
            steps = self._checkpoints.steps()
            kept = (
                f'the last good checkpoint is {self._checkpoints.path(steps[-1])}'
                if steps
                else 'no checkpoint yet'
            )
            raise DivergedError(
                f'step {step}: loss {row["loss"]}, gradient norm {row["grad_norm"]}; {kept}; '
                f'lower the learning rate or clip the gradient'
            )
        progress.update(step, row['loss'])
        self._flops_since_log += flops
        if step % self._config.log_every == 0 or step == self._config.steps:
            seconds = self._training_seconds + time.monotonic() - started
            logged_step, logged_seconds = self._logged_at
            row['learning_rate'] = float(self._config.optimizer.learning_rate(step - 1))
            taken = max(seconds - logged_seconds, 1e-9)
            row['examples_per_second'] = (step - logged_step) * self._config.batch_size / taken
            row |= self._flops.rates(self._flops_since_log, taken)
            self._logged_at, self._flops_since_log = (step, seconds), 0
            self._log.train({'step': step, **row})

    def _validate_and_save(self, state: TrainState, step: int) -> None:
        config, last, best = self._config, step == self._config.steps, False
        if self._validate and (last or step % config.validate_every == 0):
            best = self._judge(state, step)
        if last or best or step % config.checkpoint_every == 0 or self._stops():
            # Before the checkpoint, so that whoever goes on from it finds the time.
            self._log.checkpoint(step, self._seconds_of_all_parts())
            self._checkpoints.save(step, state, best=best)

    def _judge(self, state: TrainState, step: int) -> bool:
        """Validates, and says whether this is the best so far."""
        metric = self._config.best_metric
        row = {'step': step, **{name: float(v) for name, v in self._validate(state.all_params, step).items()}}
        best = self._best is None or metric.value(row) > metric.value(self._best)
        self._log.validate(row)
        self._best = row if best else self._best
        return best

    def _stops(self) -> bool:
        stopping = self._config.early_stopping
        return stopping is not None and stopping.stops(self._config.best_metric, self._log.validations)

    def _seconds_of_all_parts(self) -> float | None:
        before = self._log.seconds_before
        return None if before is None else before + self._training_seconds

    def _result(self, first: int, step: int, wall_seconds: float) -> TrainResult:
        best_step = self._best['step'] if self._best else None
        memory = jax.local_devices()[0].memory_stats() or {}
        trained = (step - first) * self._config.batch_size
        return TrainResult(
            first_step=first,
            final_step=step,
            checkpoint=self._checkpoints.path(step),
            best_step=best_step,
            best_checkpoint=self._checkpoints.path(best_step) if best_step else None,
            best_value=self._best[self._config.best_metric.name] if self._best else None,
            training_seconds=self._seconds_of_all_parts(),
            wall_seconds=wall_seconds,
            examples_per_second=trained / self._training_seconds if trained else None,
            peak_host_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            peak_device_bytes=memory.get('peak_bytes_in_use'),
        )
