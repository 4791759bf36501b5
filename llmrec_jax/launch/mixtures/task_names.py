"""From a name on the command line to the tasks it means."""

import difflib
from collections.abc import Mapping, Sequence


def tasks_of(name: str, mixtures: Mapping[str, Sequence[str]], tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks of a mixture, or the one task of that name.

    Args:
      name: of a mixture or a task.
      mixtures: each with its tasks.
      tasks: all tasks.

    Raises:
      ValueError: when neither bears the name; the message lists what there is, and the nearest.
    """
    if name in mixtures:
        return tuple(mixtures[name])
    if name in tasks:
        return (name,)
    close = difflib.get_close_matches(name, [*mixtures, *tasks], n=1, cutoff=0.4)
    nearest = f'; did you mean {close[0]!r}?' if close else '.'
    raise ValueError(
        f'MIXTURE_OR_TASK_NAME={name!r} is no evaluation mixture or task{nearest} '
        f'Mixtures: {", ".join(sorted(mixtures)) or "none"}. Tasks: {", ".join(sorted(tasks)) or "none"}'
    )
