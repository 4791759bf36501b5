"""Runs stages: what is done is not done again, and what depends on a change is."""

import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from llmrec_jax import files
from llmrec_jax.evaluation.serving import PeakMemory
from llmrec_jax.runs.fingerprint import changes, describe, fingerprint
from llmrec_jax.runs.record import StageRecord, load_record, record_path
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage, StageError, needs
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)


def execute(run: Run, stages: Sequence[Stage], wanted: Collection[str] | None = None) -> list[StageRecord]:
    """Runs what is wanted and not done, and returns the records of all stages that are done.

    A stage is done when its record's fingerprint matches and what it writes exists. Process 0 decides that
    for all processes of the run, and writes the records.

    Args:
      run: the workdir.
      stages: of a system; one that writes what another reads stands before it.
      wanted: names of stages; None for all.

    Raises:
      StageError: when a name is no stage's, or a wanted stage needs one that is neither wanted nor done.
      ProcessError: when another process ends, or this one does not see what process 0 wrote.
    """
    chosen = set(_chosen(stages, wanted))
    plan = fingerprints(stages)
    records: dict[str, StageRecord] = {}
    for stage in stages:
        record = _from_first(functools.partial(_finished, run, stage, plan[stage.name]))
        if record is None and stage.name in chosen:
            missing = [name for name in needs(stage, stages) if name not in records]
            if missing:
                raise StageError(
                    f'stage {stage.name!r} needs {missing[0]!r}, which is not done or whose inputs changed: '
                    'give python -m llmrec_jax.run the same gin files and '
                    f'--stages={",".join([*missing, stage.name])}'
                )
            record = _do_on_all(run, stage, plan[stage.name])
        elif record is not None and stage.name in chosen:
            LOG.info('stage %s: done before, reused', stage.name)
        if record is not None:
            records[stage.name] = record
            for path in (record_path(run.root, stage.name), *map(run.path, stage.writes)):
                processes.check_visible(path)
    return list(records.values())


def check(run: Run, stages: Sequence[Stage], wanted: Collection[str] | None = None) -> None:
    """Finds out before any work whether the wanted stages can run; arguments as in `execute`.

    Raises:
      StageError: as `execute`, when a name is no stage's.
      ValueError: when a stage cannot run.
    """
    chosen = _chosen(stages, wanted)
    for stage in stages:
        if stage.name in chosen:
            stage.check(run)


def fingerprints(stages: Sequence[Stage]) -> dict[str, str]:
    """Stage name to the hash of its configuration and of the stages it needs.

    Raises:
      StageError: when a stage reads what none before it writes, two write the same, or two have one name.
    """
    found: dict[str, str] = {}
    writers: dict[str, str] = {}
    for stage in stages:
        if stage.name in found:
            raise StageError(f'two stages are called {stage.name!r}: give each a name of its own')
        for artifact in stage.writes:
            if artifact.path in writers:
                raise StageError(
                    f'stages {writers[artifact.path]!r} and {stage.name!r} both write {artifact.path}'
                )
            writers[artifact.path] = stage.name
        found[stage.name] = fingerprint(stage.name, stage, [found[name] for name in needs(stage, stages)])
    return found


def _chosen(stages: Sequence[Stage], wanted: Collection[str] | None) -> list[str]:
    names = [stage.name for stage in stages]
    for name in wanted or ():
        if name not in names:
            raise StageError(f'no stage {name!r}; the stages are {", ".join(names)}')
    return [name for name in names if wanted is None or name in wanted]


def _finished(run: Run, stage: Stage, expected: str) -> StageRecord | None:
    path = record_path(run.root, stage.name)
    if not path.is_file():
        return None
    record = load_record(path)
    if record.fingerprint != expected:
        differing = changes(record.config, describe(stage))
        LOG.info('stage %s: %s', stage.name, '; '.join(differing[:5]) or 'what it reads changed')
        return None
    absent = [artifact.path for artifact in stage.writes if not run.has(artifact)]
    if absent:
        LOG.info('stage %s: %s is gone', stage.name, absent[0])
        return None
    return dataclasses.replace(record, reused=True)


def _from_first(make: Callable[[], StageRecord | None]) -> StageRecord | None:
    def as_json() -> dict[str, Any] | None:
        record = make()
        return None if record is None else dataclasses.asdict(record)

    found = processes.from_first(as_json)
    return None if found is None else StageRecord(**found)


def _do_on_all(run: Run, stage: Stage, expected: str) -> StageRecord:
    if not stage.on_all:
        record = _from_first(functools.partial(_do, run, stage, expected))
    elif processes.is_first():
        record = _do(run, stage, expected)
        record = _from_first(lambda: record)
    else:
        _run_within(run, stage, expected)
        record = _from_first(lambda: None)
    # Other processes have read nothing of what process 0 wrote.
    run.forget({stage.facts.path, *(artifact.path for artifact in stage.writes)})
    return record


def _do(run: Run, stage: Stage, expected: str) -> StageRecord:
    LOG.info('stage %s: started', stage.name)
    path = record_path(run.root, stage.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A record must not outlive what it is of: a kill during the work leaves the stage undone.
    path.unlink(missing_ok=True)
    started = time.monotonic()
    with PeakMemory() as peak:
        facts = _run_within(run, stage, expected)
    seconds = round(time.monotonic() - started, 3)
    record = StageRecord(stage.name, expected, describe(stage), seconds, round(peak.megabytes, 1), facts)
    absent = [artifact.path for artifact in stage.writes if not run.has(artifact)]
    if absent:
        raise StageError(f'stage {stage.name!r} ended without leaving {absent[0]}')
    files.write_json(path, dataclasses.asdict(record))
    LOG.info('stage %s: done in %.1f s', stage.name, record.seconds)
    return record


def _run_within(run: Run, stage: Stage, expected: str) -> dict[str, Any]:
    reads = {artifact.path for artifact in stage.reads}
    writes = {stage.facts.path, *(artifact.path for artifact in stage.writes)}
    with run.within(reads, writes, expected):
        return stage.run(run)
