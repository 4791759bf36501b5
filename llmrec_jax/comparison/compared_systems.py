"""The systems of several runs: seeds of one recipe put together, and floors and bounds shown once."""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from llmrec_jax.comparison.finished_run import FinishedRun
from llmrec_jax.comparison.settings import differences, seeds, settings
from llmrec_jax.evaluation.baselines.counted import BASELINES
from llmrec_jax.evaluation.results import BOUNDS

SystemKind = Literal['trained', 'other', 'floor', 'bound']
_KINDS: tuple[SystemKind, ...] = ('trained', 'other', 'floor', 'bound')


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedSystem:
    """One row of a comparison.

    Attributes:
      name: which no other has: what the runs call it, and where that is not enough, a run's name.
      system: what the runs call it.
      kind: 'trained' for what a run is about, 'other' for what it has beside that, 'floor' for what learns
        nothing, 'bound' for what none can exceed.
      runs: that it is the mean of, one a seed; of what all runs have alike, the first.
      seeds: of these runs, where there are several.
      of_runs: names of all runs that have it.
      settings: what sets it apart from others that the runs call the same, by setting.
    """

    name: str
    system: str
    kind: SystemKind
    runs: tuple[FinishedRun, ...]
    seeds: tuple[str, ...] = ()
    of_runs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def numbers(self, position: str) -> list[Mapping[str, Any]]:
        """Its entries in the runs' `results.json`; none where it was not asked in that position."""
        return [run.numbers[position][self.system] for run in self.runs if self._has(run, position)]

    def values(self, position: str, metric: str) -> Float[np.ndarray, 'cases'] | None:
        """The metric of each user, its mean over seeds; None for a bound, which answers nobody."""
        if self.kind == 'bound' or not all(self._has(run, position) for run in self.runs):
            return None
        of_runs = [run.answers[position].values(self.system, metric) for run in self.runs]
        return of_runs[0] if len(of_runs) == 1 else np.mean(of_runs, axis=0)

    def _has(self, run: FinishedRun, position: str) -> bool:
        return self.system in run.numbers[position]


def compared_systems(runs: Sequence[FinishedRun], positions: Sequence[str]) -> list[ComparedSystem]:
    """What is compared, trained systems first.

    Args:
      runs: of one corpus and protocol.
      positions: of seen items, that all were asked under.

    Raises:
      ValueError: when two runs differ in nothing, or a floor that only counts differs between runs.
    """
    groups = _groups(runs)
    found: list[ComparedSystem] = []
    for system in dict.fromkeys(name for run in runs for name in _systems(run, positions)):
        holders = [run for run in runs if system in _systems(run, positions)]
        kind = _kind(system, holders)
        if kind != 'trained' and _alike(system, kind, holders, positions):
            names = tuple(run.name for run in holders)
            found.append(ComparedSystem(system, system, kind, (holders[0],), (), names))
        else:
            found += [_of_group(system, kind, [run for run in group if run in holders]) for group in groups]
    found = [system for system in found if system.runs]
    return _told_apart(sorted(found, key=lambda one: _KINDS.index(one.kind)))


def _groups(runs: Sequence[FinishedRun]) -> list[list[FinishedRun]]:
    """Runs that differ in nothing but seeds."""
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        group = groups.setdefault(json.dumps([run.system, settings(run.defining)], sort_keys=True), [])
        for other in group:
            if seeds(run.defining) == seeds(other.defining):
                raise ValueError(
                    f'{other.folder} and {run.folder} differ in no setting and no seed: name one of them'
                )
        group.append(run)
    return list(groups.values())


def _systems(run: FinishedRun, positions: Sequence[str]) -> dict[str, None]:
    """Names of a run's systems, what it is about first."""
    return dict.fromkeys([run.system, *(name for position in positions for name in run.numbers[position])])


def _kind(system: str, holders: Sequence[FinishedRun]) -> SystemKind:
    if system in BOUNDS:
        return 'bound'
    if any(system == run.system for run in holders):
        return 'trained'
    return 'floor' if any(system in run.results.floors for run in holders) else 'other'


def _alike(system: str, kind: SystemKind, holders: Sequence[FinishedRun], positions: Sequence[str]) -> bool:
    """Whether all runs have the same of it.

    Raises:
      ValueError: when they do not, though it only counts the corpus that they share.
    """
    for position in positions:
        asked = [run for run in holders if system in run.numbers[position]]
        for first, other in itertools.pairwise(asked):
            if kind == 'bound':
                if first.numbers[position][system] != other.numbers[position][system]:
                    return False
                continue
            ranks, of_other = (run.answers[position].ranks[system] for run in (first, other))
            differing = int((ranks != of_other).sum())
            if differing and system in BASELINES:
                raise ValueError(
                    f'{first.folder} and {other.folder} have other floors: {system} ranks the next item of '
                    f'{differing} users elsewhere (seen items {position}), though it only counts the corpus. '
                    'Their training sets differ, or one of them is of another version: evaluate both with '
                    'this one'
                )
            if differing:
                return False
    return True


def _of_group(system: str, kind: SystemKind, runs: Sequence[FinishedRun]) -> ComparedSystem:
    differing = differences([seeds(run.defining) for run in runs])
    return ComparedSystem(
        name=system,
        system=system,
        kind=kind,
        runs=tuple(runs),
        seeds=tuple(map(_seed_text, differing)) if len(runs) > 1 else (),
        of_runs=tuple(run.name for run in runs),
    )


def _seed_text(differing: Mapping[str, int]) -> str:
    """One number where all seeds that differ are that number, as with a recipe's `RANDOM_SEED`."""
    values = set(differing.values())
    if len(values) == 1:
        return str(values.pop())
    return ', '.join(f'{name} {value}' for name, value in differing.items())


def _told_apart(systems: Sequence[ComparedSystem]) -> list[ComparedSystem]:
    """Adds a run's name, and what was set otherwise, where runs call several the same."""
    told = []
    for one in systems:
        namesakes = [other for other in systems if other.system == one.system]
        if len(namesakes) == 1:
            told.append(one)
            continue
        name = f'{one.system} ({one.of_runs[0]})'
        apart: dict[str, Any] = {}
        if one.kind != 'floor':
            described = [settings(other.runs[0].defining) for other in namesakes]
            apart = differences(described)[namesakes.index(one)]
        told.append(dataclasses.replace(one, name=name, settings=apart))
    return told
