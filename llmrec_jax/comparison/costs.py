"""What a system cost, as its runs recorded it: training, size, memory, and users answered a second."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence

from llmrec_jax.comparison.compared_systems import ComparedSystem
from llmrec_jax.comparison.finished_run import FinishedRun
from llmrec_jax.runs.record import StageRecord


@dataclasses.dataclass(frozen=True)
class CostKind:
    """Something that quality is paid with.

    Attributes:
      name: as `comparison.json` has it.
      title: as the page has it.
      unit: of the values; '' for a number.
      less_is_better: whether a small value is the good one.
      of_run: takes it from a run that trained; None where it is of a system's answers.
      untrained: what a system costs that trains nothing; None where that is not known.
    """

    name: str
    title: str
    unit: str
    less_is_better: bool
    of_run: Callable[[FinishedRun], float | int | None] | None
    untrained: float | int | None = None


def training_seconds(run: FinishedRun) -> float | int | None:
    """What the steps of all trainings of a run took; None where one of them did not keep it."""
    parts = [_seconds(record) for record in _trainings(run)]
    return None if not parts or None in parts else sum(parts)


def _seconds(record: StageRecord) -> float | int | None:
    facts = record.facts
    if 'training_seconds' in facts:
        return facts['training_seconds']
    # Records that are older than this fact tell it by the rate, where one part made all steps.
    batch_size = record.config.get('trainer', {}).get('batch_size')
    if facts['first_step'] != 0 or not facts['examples_per_second'] or batch_size is None:
        return None
    return facts['final_step'] * batch_size / facts['examples_per_second']


def parameters(run: FinishedRun) -> float | int | None:
    """How many parameters the trained network has."""
    return run.records['train'].facts.get('parameters') if 'train' in run.records else None


def peak_memory_mb(run: FinishedRun) -> float | int | None:
    """The largest resident memory of the process while it trained."""
    return max((record.peak_memory_mb for record in _trainings(run)), default=None)


def peak_device_mb(run: FinishedRun) -> float | int | None:
    """The most memory in use on the first device, where it tells."""
    told = [record.facts.get('peak_device_bytes') for record in _trainings(run)]
    return max((peak / 2**20 for peak in told if peak is not None), default=None)


COSTS = (
    CostKind('training_seconds', 'Training', 's', True, training_seconds, untrained=0.0),
    CostKind('parameters', 'Parameters', '', True, parameters, untrained=0.0),
    CostKind('users_per_second', 'Users answered a second', '', False, None),
    CostKind('peak_memory_mb', 'Memory in training', 'MB', True, peak_memory_mb),
    CostKind('peak_device_mb', 'Device memory in training', 'MB', True, peak_device_mb),
)


def costs(system: ComparedSystem, position: str) -> dict[str, float | int | None]:
    """Every cost by its name, the mean over seeds; None where a run did not record it.

    What stands beside the system that a run is about, as a model before fine-tuning, has no cost of its own
    but the time of its answers.
    """
    if system.kind == 'bound':
        return {kind.name: None for kind in COSTS}
    return {kind.name: _cost(kind, system, position) for kind in COSTS}


def _cost(kind: CostKind, system: ComparedSystem, position: str) -> float | int | None:
    if kind.of_run is None:
        return _mean([numbers.get(kind.name) for numbers in system.numbers(position)])
    if system.kind == 'trained':
        return _mean([kind.of_run(run) for run in system.runs])
    return kind.untrained if system.kind == 'floor' else None


def _mean(values: Sequence[float | int | None]) -> float | int | None:
    if not values or None in values:
        return None
    # What is the same for all seeds stays what it is, as a whole number of parameters.
    return values[0] if len(set(values)) == 1 else statistics.fmean(values)


def _trainings(run: FinishedRun) -> list[StageRecord]:
    """Records of the stages that trained by steps."""
    return [record for record in run.records.values() if 'final_step' in record.facts]


def in_words(costs_of: Mapping[str, float | int | None], kind: CostKind) -> str:
    """A cost with its unit."""
    value = costs_of[kind.name]
    if value is None:
        return '–'
    if value == 0:
        return 'none'
    digits = f'{value:,.1f}' if value < 10 and kind.unit else f'{value:,.0f}'
    shown = digits.replace(',', '\u202f')
    return f'{shown}\u00a0{kind.unit}' if kind.unit else shown
