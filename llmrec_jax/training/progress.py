"""How far a run is: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time

import tqdm

from llmrec_jax.training import processes

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Shows steps, loss, examples per second and the time left on standard error, on process 0."""

    def __init__(self, first_step: int, last_step: int, batch_size: int):
        """Starts at `first_step` updates of `last_step`, with `batch_size` examples each."""
        self._batch_size = batch_size
        self._speaks = processes.is_first()
        self._terminal = sys.stderr.isatty() and self._speaks
        self._bar = tqdm.tqdm(
            total=last_step, initial=first_step, unit='step', disable=not self._terminal, dynamic_ncols=True
        )
        self._first_step, self._last_step = first_step, last_step
        self._started = self._shown = time.monotonic()

    def update(self, step: int, loss: float) -> None:
        """Says that `step` updates are made."""
        now = time.monotonic()
        steps_per_second = (step - self._first_step) / max(now - self._started, 1e-9)
        examples_per_second = steps_per_second * self._batch_size
        if self._terminal:
            self._bar.set_postfix_str(f'loss {loss:.4f}, {examples_per_second:.0f} examples/s', refresh=False)
            self._bar.update(step - self._bar.n)
        elif self._speaks and (now - self._shown >= SECONDS_BETWEEN_LINES or step == self._last_step):
            self._shown = now
            left = (self._last_step - step) / max(steps_per_second, 1e-9)
            print(
                f'step {step}/{self._last_step}, loss {loss:.4f}, {examples_per_second:.0f} examples/s, '
                f'{tqdm.tqdm.format_interval(left)} left',
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()
