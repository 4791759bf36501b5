"""A finished run as its workdir tells it: results, records of its stages, and each user's rank."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.evaluation.metrics import case_metrics, mean_over_cases
from llmrec_jax.evaluation.per_user import FOLDER, PerUserResults, per_user_path
from llmrec_jax.evaluation.protocol import SEEN_ITEMS, Protocol
from llmrec_jax.evaluation.results import BOUNDS, RESULTS_FILE, Results, section
from llmrec_jax.runs.record import StageRecord, load_record, record_path


@dataclasses.dataclass(frozen=True, eq=False)
class AnsweredUsers:
    """Who was asked for under one position of seen items, and where each system ranked what came next.

    Attributes:
      user: row of each case's user in the corpus.
      target: the item that came next.
      ranks: rank of the target by name of the system; 0 where it was not ranked.
      stages: by name of the system, the stage that asked it.
    """

    user: Int[np.ndarray, 'cases']
    target: Int[np.ndarray, 'cases']
    ranks: Mapping[str, Int[np.ndarray, 'cases']]
    stages: Mapping[str, str]

    def values(self, system: str, metric: str) -> Float[np.ndarray, 'cases']:
        """A system's metric, e.g. 'ndcg@10', for each case."""
        return case_metrics(self.ranks[system], (int(metric.partition('@')[2]),))[metric]


@dataclasses.dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run that was trained and evaluated.

    Attributes:
      name: what it is called, short.
      folder: its workdir, as it was given.
      results: its `results.json`.
      records: of the stages that these results are of.
      answers: by position of seen items.
      numbers: likewise, the systems' entries in `results.json`.
    """

    name: str
    folder: pathlib.Path
    results: Results
    records: Mapping[str, StageRecord]
    answers: Mapping[str, AnsweredUsers]
    numbers: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @property
    def system(self) -> str:
        """The system that the run is about."""
        assert self.results.headline is not None
        return self.results.headline

    @property
    def defining(self) -> list[StageRecord]:
        """Records of the stages that decide what the run's own systems answer; not of what only measures."""
        phases = {stage['name']: stage['phase'] for stage in self.results.stages}
        floors = set(self.results.floors)
        asking = {
            stage
            for answered in self.answers.values()
            for system, stage in answered.stages.items()
            if system not in floors
        }
        return [
            record for name, record in self.records.items() if phases[name] != 'evaluate' or name in asking
        ]


def read_runs(folders: Sequence[str], split: str) -> list[FinishedRun]:
    """Reads the workdirs of finished runs.

    Args:
      folders: the workdirs.
      split: 'test' or 'validation'.

    Raises:
      ValueError: naming the folder, when it is none, is named twice, is not evaluated, or is damaged.
    """
    paths = [pathlib.Path(folder) for folder in folders]
    first: dict[pathlib.Path, pathlib.Path] = {}
    for path in paths:
        same = first.setdefault(path.resolve(), path)
        if same is not path:
            raise ValueError(f'{path} and {same} are the same folder: name it once')
    return [read_run(path, name, split) for path, name in zip(paths, _names(paths))]


def read_run(folder: pathlib.Path, name: str, split: str) -> FinishedRun:
    """Reads one workdir; arguments and errors as in `read_runs`, and what it is to be called."""
    results = _load_results(folder)
    records = _load_records(folder, results)
    ks = tuple(results.protocol['ks'])
    main = Protocol('test', results.protocol['seen_items'], ks)
    answers, numbers = {}, {}
    for seen_items in SEEN_ITEMS:
        where = section(Protocol(split, seen_items, ks), main)
        of_section = results.systems.get(where, {})
        if results.headline in of_section:
            answers[seen_items] = _load_answers(folder, results, split, seen_items)
            numbers[seen_items] = of_section
            _check_numbers(folder, where, of_section, answers[seen_items], ks)
    if not answers:
        done = ', '.join(stage['name'] for stage in results.stages)
        raise ValueError(
            f'{folder} is not evaluated: on the {split} split there are no lists of {results.headline} '
            f'(stages done: {done}); {_go_on(folder)}'
        )
    return FinishedRun(name, folder, results, records, answers, numbers)


def _names(paths: Sequence[pathlib.Path]) -> list[str]:
    """The last parts of the paths, as few as tell them apart."""
    # As they were given: a link is called by its own name.
    parts = [path.absolute().parts for path in paths]
    for length in range(1, max(map(len, parts))):
        names = ['/'.join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _load_results(folder: pathlib.Path) -> Results:
    path = folder / RESULTS_FILE
    if not folder.is_dir():
        raise ValueError(f'{folder} is no folder: name the workdirs of finished runs')
    if not path.is_file():
        by_task = sorted((folder / FOLDER).glob(f'*/{RESULTS_FILE}'))
        if by_task:
            raise ValueError(
                f'{folder} holds results of prompts by task, {by_task[0]}, and no lists of the catalogue for '
                'each user: only systems that rank items are compared'
            )
        raise ValueError(f'{folder} is not evaluated: there is no {path}; {_go_on(folder)}')
    results = Results.load(path)
    if results.headline is None or any('phase' not in stage for stage in results.stages):
        raise ValueError(
            f'{path} is of an earlier version, which did not say what it is about; write it anew: '
            f'python -m llmrec_jax.evaluate --gin_file={folder}/config.gin'
        )
    return results


def _load_records(folder: pathlib.Path, results: Results) -> dict[str, StageRecord]:
    records = {}
    for stage in results.stages:
        path = record_path(folder, stage['name'])
        if not path.is_file():
            raise ValueError(
                f'{path} is gone, which {folder / RESULTS_FILE} is of: the run is at work, or was stopped; '
                f'{_go_on(folder)}'
            )
        record = load_record(path)
        if (record.seconds, record.peak_memory_mb) != (stage['seconds'], stage['peak_memory_mb']):
            raise ValueError(
                f'stage {record.name} of {folder} was done again after {folder / RESULTS_FILE} was written; '
                f'{_go_on(folder)}'
            )
        records[record.name] = record
    return records


def _load_answers(folder: pathlib.Path, results: Results, split: str, seen_items: str) -> AnsweredUsers:
    found: list[tuple[str, pathlib.Path, PerUserResults]] = []
    for stage in results.stages:
        path = folder / per_user_path(stage['name'], split, seen_items)
        if path.is_file():
            found.append((stage['name'], path, PerUserResults.load(path)))
    if not found:
        wanted = folder / per_user_path('*', split, seen_items)
        raise ValueError(f'there is no {wanted}, which {folder / RESULTS_FILE} is of; {_go_on(folder)}')
    _, first, of_first = found[0]
    for _, path, other in found:
        if not (np.array_equal(of_first.user, other.user) and np.array_equal(of_first.target, other.target)):
            raise ValueError(f'{first} and {path} are of other users; {_go_on(folder)}')
    return AnsweredUsers(
        of_first.user,
        of_first.target,
        {system: of.target_rank for _, _, lists in found for system, of in lists.systems.items()},
        {system: stage for stage, _, lists in found for system in lists.systems},
    )


def _check_numbers(
    folder: pathlib.Path,
    where: str,
    systems: Mapping[str, Mapping[str, Any]],
    answered: AnsweredUsers,
    ks: Sequence[int],
) -> None:
    """Checks that `results.json` says what the lists give, to the last digit."""
    for system in (name for name in systems if name not in BOUNDS):
        if system not in answered.ranks:
            raise ValueError(
                f'{folder} keeps no lists of {system}, which {folder / RESULTS_FILE} has under {where}; '
                f'{_go_on(folder)}'
            )
        for metric, values in case_metrics(answered.ranks[system], ks).items():
            said, given = systems[system].get(metric), mean_over_cases(values)
            if said != given:
                raise ValueError(
                    f'{folder / RESULTS_FILE} has {said} as {where}.{system}.{metric}, and the lists of '
                    f'{folder} give {given}; {_go_on(folder)}'
                )


def _go_on(folder: pathlib.Path) -> str:
    return f'run python -m llmrec_jax.run --gin_file={folder}/config.gin'
