"""The logs of a run: JSON lines, one object a step, TensorBoard events, and a bar or lines for who waits."""

import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import Any

import tensorboardX
import tqdm

from llmrec_jax import files
from llmrec_jax.training import processes

VALIDATION = 'validation.jsonl'
TRAINING_TIME = 'training_time.jsonl'


class JsonLines:
    """A log with one JSON object a line, each with its `step`, without gap or repeat after a restart."""

    def __init__(self, path: str | os.PathLike, last_step: int):
        """Opens the log, dropping what lies after `last_step` or was cut short by a kill.

        Raises:
          ValueError: when a line before the last is not a JSON object with a `step`.
        """
        self.path = pathlib.Path(path)
        self.rows = [row for row in read_json_lines(self.path) if row['step'] <= last_step]
        files.write_text(self.path, ''.join(map(_line, self.rows)))
        self._file = self.path.open('a', encoding='utf-8')

    def append(self, row: Mapping[str, Any]) -> None:
        """Writes a line, which no later kill loses. Values that are not finite become null."""
        row = _finite(row)
        self.rows.append(row)
        self._file.write(_line(row))
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class MetricsLog:
    """Metrics under a workdir: `metrics.jsonl`, `validation.jsonl`, `training_time.jsonl` and `tensorboard/`.

    Process 0 alone writes them. All processes remember the validations, because all decide by them.

    Attributes:
      validations: rows of all validations so far, oldest first.
      seconds_before: what training took up to the step the run goes on from, over all its parts; None where
        nobody kept it, as for steps that another engine made.
    """

    def __init__(self, workdir: str | os.PathLike, last_step: int):
        """Opens the logs of `workdir`, cut back to `last_step`, the step the run goes on from."""
        self._files = _Files(pathlib.Path(workdir), last_step) if processes.is_first() else None
        self.validations = processes.from_first(lambda: list(self._files.validation.rows))
        self.seconds_before = processes.from_first(lambda: self._files.seconds_before(last_step))

    def train(self, row: Mapping[str, Any]) -> None:
        """Logs the metrics of a training step."""
        if self._files:
            self._files.log(self._files.training, 'train', row)

    def validate(self, row: Mapping[str, Any]) -> None:
        """Logs the metrics of a validation."""
        self.validations.append(_finite(row))
        if self._files:
            self._files.log(self._files.validation, 'validation', row)

    def checkpoint(self, step: int, seconds: float | None) -> None:
        """Keeps what training took up to a step that is about to be saved; None where that is not known."""
        if self._files:
            self._files.time.append({'step': step, 'training_seconds': seconds})

    def close(self) -> None:
        """Closes all files."""
        if self._files:
            self._files.close()


class _Files:
    def __init__(self, workdir: pathlib.Path, last_step: int):
        self.training = JsonLines(workdir / 'metrics.jsonl', last_step)
        self.validation = JsonLines(workdir / VALIDATION, last_step)
        self.time = JsonLines(workdir / TRAINING_TIME, last_step)
        self._events = tensorboardX.SummaryWriter(str(workdir / 'tensorboard'), purge_step=last_step + 1)

    def seconds_before(self, step: int) -> float | None:
        if step == 0:
            return 0.0
        rows = self.time.rows
        return rows[-1]['training_seconds'] if rows and rows[-1]['step'] == step else None

    def log(self, lines: JsonLines, group: str, row: Mapping[str, Any]) -> None:
        lines.append(row)
        for name, value in row.items():
            if name != 'step' and value is not None:
                # TensorBoard takes no '@' in a name.
                self._events.add_scalar(f'{group}/{name.replace("@", "_at_")}', value, row['step'])

    def close(self) -> None:
        self.training.close()
        self.validation.close()
        self.time.close()
        self._events.close()


def read_json_lines(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The rows of a log; none when it does not exist. A last line without its newline was cut short and is
    left out.

    Raises:
      ValueError: when a line is not a JSON object with a `step`.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(files.read_text(path).splitlines(keepends=True), start=1):
        if not line.endswith('\n'):
            break
        try:
            row = json.loads(line)
            row['step']
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f'{path}, line {number}: expected a JSON object with "step"; mend or delete it'
            ) from error
        rows.append(row)
    return rows


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + '\n'


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
