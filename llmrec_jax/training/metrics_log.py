"""Logs of a run as JSON lines, one object a step, and as TensorBoard events."""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorboardX


class JsonLines:
    """A log with one JSON object a line, each with its `step`, without gap or repeat after a restart."""

    def __init__(self, path: str | os.PathLike, last_step: int):
        """Opens the log, dropping what lies after `last_step` or was cut short by a kill.

        Raises:
          ValueError: when a line before the last is not a JSON object with a `step`.
        """
        self.path = pathlib.Path(path)
        self.rows = [row for row in read_json_lines(self.path) if row['step'] <= last_step]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix('.partial')
        partial.write_text(''.join(map(_line, self.rows)))
        os.replace(partial, self.path)
        self._file = self.path.open('a')

    def append(self, row: Mapping[str, Any]) -> None:
        """Writes a line, which no later kill loses. Values that are not finite become null."""
        row = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        self.rows.append(row)
        self._file.write(_line(row))
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class MetricsLog:
    """Metrics under a workdir: `metrics.jsonl`, `validation.jsonl` and `tensorboard/`."""

    def __init__(self, workdir: str | os.PathLike, last_step: int):
        """Opens the logs of `workdir`, cut back to `last_step`, the step the run goes on from."""
        workdir = pathlib.Path(workdir)
        self.training = JsonLines(workdir / 'metrics.jsonl', last_step)
        self.validation = JsonLines(workdir / 'validation.jsonl', last_step)
        self._events = tensorboardX.SummaryWriter(str(workdir / 'tensorboard'), purge_step=last_step + 1)

    def train(self, row: Mapping[str, Any]) -> None:
        """Logs the metrics of a training step."""
        self._log(self.training, 'train', row)

    def validate(self, row: Mapping[str, Any]) -> None:
        """Logs the metrics of a validation."""
        self._log(self.validation, 'validation', row)

    def close(self) -> None:
        """Closes all files."""
        self.training.close()
        self.validation.close()
        self._events.close()

    def _log(self, lines: JsonLines, group: str, row: Mapping[str, Any]) -> None:
        lines.append(row)
        for name, value in row.items():
            if name != 'step' and value is not None:
                # TensorBoard takes no '@' in a name.
                self._events.add_scalar(f'{group}/{name.replace("@", "_at_")}', value, row['step'])


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
    for number, line in enumerate(path.read_text().splitlines(keepends=True), start=1):
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


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + '\n'
