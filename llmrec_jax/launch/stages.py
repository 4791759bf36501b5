"""Stages of a run: what is done is not done again, and what depends on a change is."""

import dataclasses
import functools
import json
import logging
import pathlib
import time
from collections.abc import Callable, Sequence

from llmrec_jax import files
from llmrec_jax.evaluation.peak_memory import PeakMemory
from llmrec_jax.runs.fingerprint import fingerprint
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)
RECORDS = 'stages'


class StageError(RuntimeError):
    """A stage that cannot run; the message says what it lacks."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
      name: also the name of its record under `<workdir>/stages`.
      needs: stages whose results it reads.
      config: what it depends on beside those results; anything `fingerprint` can describe.
      outputs: files or folders it leaves, relative to the workdir.
      action: does the work, given the stage's fingerprint; what it returns is kept in the record, so it must
        be JSON.
      on_all: whether all processes of a run do the work together; by default process 0 does it, and the
        others wait.
    """

    name: str
    needs: tuple[str, ...]
    config: object
    outputs: tuple[str, ...]
    action: Callable[[str], dict]
    on_all: bool = False


@dataclasses.dataclass(frozen=True)
class StageRecord:
    """What is remembered of a finished stage.

    Attributes:
      name: the stage's name.
      fingerprint: hash of its configuration and of the fingerprints of the stages it needed.
      seconds: wall time of the run that did the work.
      peak_memory_mb: largest resident memory of the process while it ran.
      summary: what its action returned.
      reused: whether this run found it done.
    """

    name: str
    fingerprint: str
    seconds: float
    peak_memory_mb: float
    summary: dict
    reused: bool = False


def order(stages: Sequence[Stage], wanted: Sequence[str] | None) -> list[Stage]:
    """The stages to run, in the order given; `wanted=None` means all.

    Raises:
      StageError: on a name that no stage has.
    """
    names = [stage.name for stage in stages]
    for name in wanted or ():
        if name not in names:
            raise StageError(f'no stage {name!r}; the stages are {", ".join(names)}')
    return [stage for stage in stages if wanted is None or stage.name in wanted]


def run(
    workdir: pathlib.Path, stages: Sequence[Stage], wanted: Sequence[str] | None = None
) -> list[StageRecord]:
    """Runs what is wanted and not done, and returns the records of all stages that are done.

    A stage is done when its record's fingerprint matches and its outputs exist. Process 0 decides that for
    all processes of the run, and writes the records.

    Raises:
      StageError: when a wanted stage needs one that is neither wanted nor done.
      ProcessError: when another process ends, or this one does not see what process 0 wrote.
    """
    chosen = {stage.name for stage in order(stages, wanted)}
    found = fingerprints(stages)
    records = []
    for stage in stages:
        record = _from_first(functools.partial(_finished, workdir, stage, found[stage.name]))
        if record is None and stage.name in chosen:
            missing = [name for name in stage.needs if name not in {done.name for done in records}]
            if missing:
                raise StageError(
                    f'stage {stage.name!r} needs {missing[0]!r}, which is not done or whose inputs changed: '
                    f'run with --stages={",".join([*missing, stage.name])}'
                )
            record = _do_on_all(workdir, stage, found[stage.name])
        elif record is not None and stage.name in chosen:
            LOG.info('stage %s: done before, reused', stage.name)
        if record is not None:
            records.append(record)
            for path in (record_path(workdir, stage.name), *(workdir / output for output in stage.outputs)):
                processes.check_visible(path)
    return records


def fingerprints(stages: Sequence[Stage]) -> dict[str, str]:
    """Stage name to the hash of its configuration and of the stages it needs, which come before it."""
    found: dict[str, str] = {}
    for stage in stages:
        found[stage.name] = fingerprint(stage.name, stage.config, [found[needed] for needed in stage.needs])
    return found


def record_path(workdir: pathlib.Path, name: str) -> pathlib.Path:
    """Where the record of a finished stage lies."""
    return workdir / RECORDS / f'{name}.json'


def read_record(workdir: pathlib.Path, name: str) -> StageRecord:
    """The record of a finished stage.

    Raises:
      StageError: when the stage is not done, or its record is damaged.
    """
    path = record_path(workdir, name)
    if not path.is_file():
        raise StageError(f'{workdir}: stage {name!r} is not done; run it first')
    try:
        return StageRecord(**json.loads(path.read_text()))
    except (json.JSONDecodeError, TypeError) as error:
        raise StageError(
            f'{path} is not a stage record ({error}); delete it and the stage runs again'
        ) from error


def _finished(workdir: pathlib.Path, stage: Stage, expected: str) -> StageRecord | None:
    if not record_path(workdir, stage.name).is_file():
        return None
    record = read_record(workdir, stage.name)
    if record.fingerprint != expected:
        LOG.info('stage %s: its configuration or inputs changed', stage.name)
        return None
    absent = [output for output in stage.outputs if not (workdir / output).exists()]
    if absent:
        LOG.info('stage %s: %s is gone', stage.name, absent[0])
        return None
    return dataclasses.replace(record, reused=True)


def _from_first(make: Callable[[], StageRecord | None]) -> StageRecord | None:
    def as_json() -> dict | None:
        record = make()
        return None if record is None else dataclasses.asdict(record)

    found = processes.from_first(as_json)
    return None if found is None else StageRecord(**found)


def _do_on_all(workdir: pathlib.Path, stage: Stage, stage_fingerprint: str) -> StageRecord:
    if not stage.on_all:
        return _from_first(functools.partial(_do, workdir, stage, stage_fingerprint))
    if processes.is_first():
        record = _do(workdir, stage, stage_fingerprint)
    else:
        stage.action(stage_fingerprint)
    return _from_first(lambda: record)


def _do(workdir: pathlib.Path, stage: Stage, stage_fingerprint: str) -> StageRecord:
    LOG.info('stage %s: started', stage.name)
    path = record_path(workdir, stage.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A record must not outlive its outputs: a kill during the work leaves the stage undone.
    path.unlink(missing_ok=True)
    started = time.monotonic()
    with PeakMemory() as peak:
        summary = stage.action(stage_fingerprint)
    record = StageRecord(
        stage.name, stage_fingerprint, round(time.monotonic() - started, 3), round(peak.megabytes, 1), summary
    )
    absent = [output for output in stage.outputs if not (workdir / output).exists()]
    if absent:
        raise StageError(f'stage {stage.name!r} ended without leaving {absent[0]}')
    files.write_json(path, dataclasses.asdict(record))
    LOG.info('stage %s: done in %.1f s', stage.name, record.seconds)
    return record
