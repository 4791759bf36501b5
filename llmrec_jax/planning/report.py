"""All that was planned, what follows from it (time and price of an epoch), and both as JSON."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from llmrec_jax.planning.collectives import Collective
from llmrec_jax.planning.decoding_plan import DecodingPlan
from llmrec_jax.planning.topology import Topology
from llmrec_jax.planning.training_plan import TrainingPlan
from llmrec_jax.planning.workload import Workload

HOUR = 3600


@dataclasses.dataclass(frozen=True)
class Price:
    """What is trained and what is paid.

    Attributes:
      per_chip_hour: in any currency.
      examples: of an epoch.
    """

    per_chip_hour: float
    examples: int

    def __post_init__(self):
        if self.per_chip_hour < 0 or self.examples < 1:
            raise ValueError(
                f'--price_per_chip_hour={self.per_chip_hour} must not be negative and '
                f'--examples={self.examples} must be at least 1'
            )

    def epoch_hours(self, examples_per_second: float) -> float:
        """Hours of an epoch."""
        return self.examples / examples_per_second / HOUR

    def epoch_cost(self, examples_per_second: float, chips: int) -> float:
        """Cost of an epoch on so many chips."""
        return self.epoch_hours(examples_per_second) * chips * self.per_chip_hour


_DECODING_KEYS = ('mesh', 'rules', 'dtype')


@dataclasses.dataclass(frozen=True)
class Report:
    """All that was planned.

    Attributes:
      workload: the recipe.
      topology: the devices.
      training: a plan a setting.
      decoding: likewise, one for each mesh, rules and dtype.
      price: what an epoch is counted with; None for no such columns.
    """

    workload: Workload
    topology: Topology
    training: Sequence[TrainingPlan]
    decoding: Sequence[DecodingPlan]
    price: Price | None = None

    @property
    def best(self) -> TrainingPlan | None:
        """Of the settings that fit, the one with the most examples a second, then the least memory."""
        fitting = [plan for plan in self.training if self.fits(plan) and plan.step_seconds]
        return max(
            fitting, key=lambda plan: (self.examples_per_second(plan), -plan.memory.total), default=None
        )

    def fits(self, plan: TrainingPlan) -> bool:
        """Whether the update has room on the chip; true where the chip's memory is not known."""
        chip = self.topology.chip
        return plan.memory is not None and (chip is None or plan.memory.total <= chip.usable_bytes)

    def examples_per_second(self, plan: TrainingPlan) -> float | None:
        """At the roofline's speed, over all devices."""
        return plan.setting.batch_size / plan.step_seconds if plan.step_seconds else None

    def utilisation(self, plan: TrainingPlan) -> float | None:
        """Model FLOPs over what all devices could do in the roofline's time."""
        if not plan.step_seconds or plan.model_flops is None:
            return None
        return (
            plan.model_flops / plan.step_seconds / len(self.topology.devices) / self.topology.chip.peak_flops
        )

    def json(self) -> dict[str, Any]:
        """All figures, as JSON-able values: bytes, seconds, FLOPs."""
        chip = self.topology.chip
        return {
            'topology': {
                'name': self.topology.name,
                'devices': len(self.topology.devices),
                'device_kind': self.topology.devices[0].device_kind,
                'chip': chip
                and {key: value for key, value in dataclasses.asdict(chip).items() if key != 'shapes'},
            },
            'parameters': self.workload.parameters,
            'model_flops_by': 'formula' if self.workload.knows_flops else 'count',
            'feature_lengths': dict(self.workload.trainer.feature_lengths),
            'training': [self._training_json(plan) for plan in self.training],
            'decoding': [self._decoding_json(plan) for plan in self.decoding],
        }

    def _training_json(self, plan: TrainingPlan) -> dict[str, Any]:
        rate = self.examples_per_second(plan)
        return {
            **dataclasses.asdict(plan.setting),
            'model_flops': plan.model_flops,
            'fits': self.fits(plan),
            'best': plan is self.best,
            'memory': plan.memory and {**dataclasses.asdict(plan.memory), 'total': plan.memory.total},
            'out_of_memory': plan.out_of_memory and dataclasses.asdict(plan.out_of_memory),
            'matrix_flops_per_device': plan.matrix_flops,
            'memory_bytes_per_device': plan.memory_bytes,
            'collectives': collective_totals(plan.collectives),
            'programs': plan.times and {name: _time_json(time) for name, time in plan.times.items()},
            'step_seconds': plan.step_seconds,
            'bound': plan.bound,
            'model_flops_utilisation': self.utilisation(plan),
            'examples_per_second': rate,
            'tokens_per_second': rate and rate * self.workload.tokens,
            'epoch_hours': rate and self.price and self.price.epoch_hours(rate),
            'epoch_cost': rate and self.price and self.price.epoch_cost(rate, self.topology.chips),
            'uncounted_loops': plan.uncounted_loops,
            'kernels': plan.kernels,
        }

    def _decoding_json(self, plan: DecodingPlan) -> dict[str, Any]:
        return {
            **{
                key: value for key, value in dataclasses.asdict(plan.setting).items() if key in _DECODING_KEYS
            },
            'users': plan.users,
            'model_flops': plan.model_flops,
            'parameter_bytes': plan.parameters,
            'memory': plan.memory and {**dataclasses.asdict(plan.memory), 'total': plan.memory.total},
            'out_of_memory': plan.out_of_memory and dataclasses.asdict(plan.out_of_memory),
            'matrix_flops_per_device': plan.matrix_flops,
            'memory_bytes_per_device': plan.memory_bytes,
            'collectives': collective_totals(plan.collectives),
            'time': plan.time and _time_json(plan.time),
        }


def sent_bytes(collectives: Iterable[Collective]) -> float:
    """Bytes that a device sends in all of them."""
    return sum((collective.sent_bytes * collective.times for collective in collectives), 0.0)


def collective_totals(collectives: Iterable[Collective]) -> dict[str, dict[str, Any]]:
    """By kind: how often it runs, and the bytes that a device sends in it."""
    totals: dict[str, dict[str, Any]] = defaultdict(lambda: {'times': 0, 'sent_bytes': 0.0})
    for collective in collectives:
        totals[collective.kind]['times'] += collective.times
        totals[collective.kind]['sent_bytes'] += collective.sent_bytes * collective.times
    return dict(totals)


def _time_json(time: Any) -> dict[str, Any]:
    return {**dataclasses.asdict(time), 'seconds': time.seconds, 'bound': time.bound}
