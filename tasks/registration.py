"""Adding tasks and mixtures to SeqIO's registries, where one name stands for one thing; needs TensorFlow."""

from collections.abc import Mapping, Sequence
from typing import Any

import seqio


class IdentifiedTask(seqio.Task):
    """A task that knows what it was made of.

    Attributes:
      identity: equal for tasks that give the same examples and metrics.
    """

    def __init__(self, name: str, *, identity: Any, **task: Any):
        """Takes `seqio.Task`'s arguments beside the identity."""
        super().__init__(name, **task)
        self.identity = identity


def add_task(name: str, identity: Any, **task: Any) -> None:
    """Adds a task to SeqIO's registry, in place of an equal one.

    Args:
      name: SeqIO's name.
      identity: what decides examples and metrics, as values that compare.
      **task: `seqio.Task`'s other arguments.

    Raises:
      ValueError: when another task bears the name.
    """
    if name in seqio.TaskRegistry.names():
        if getattr(seqio.TaskRegistry.get(name), 'identity', None) != identity:
            raise ValueError(
                f'SeqIO knows another task {name!r}, made of something else: give one of them another name, '
                f'or forget the first by tasks.registration.forget({name!r})'
            )
        # The same examples, which may lie elsewhere by now.
        seqio.TaskRegistry.remove(name)
    seqio.TaskRegistry.add(name, task_cls=IdentifiedTask, identity=identity, **task)


def add_mixture(name: str, rates: Mapping[str, float] | Sequence[tuple[str, float]]) -> None:
    """Adds a mixture of registered tasks to SeqIO's registry, in place of an equal one.

    Raises:
      ValueError: when another mixture bears the name.
    """
    rates = dict(rates)
    if name in seqio.MixtureRegistry.names():
        known = seqio.MixtureRegistry.get(name)
        if {task.name: known.get_rate(task) for task in known.tasks} != rates:
            raise ValueError(
                f'SeqIO knows another mixture {name!r}, of {sorted(task.name for task in known.tasks)}: give '
                f'one of them another name, or forget the first by tasks.registration.forget({name!r})'
            )
        seqio.MixtureRegistry.remove(name)
    seqio.MixtureRegistry.add(name, list(rates.items()))


def forget(prefix: str) -> list[str]:
    """Removes this library's tasks, and mixtures of such, whose names begin so, and returns the names.

    For a process that goes on with other settings, as a notebook does: names stay, and what they stand for
    changes.
    """
    forgotten = []
    for registry in (seqio.MixtureRegistry, seqio.TaskRegistry):
        for name in list(registry.names()):
            tasks = seqio.get_subtasks(registry.get(name))
            if name.startswith(prefix) and any(isinstance(task, IdentifiedTask) for task in tasks):
                registry.remove(name)
                forgotten.append(name)
    return forgotten
