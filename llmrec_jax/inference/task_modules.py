"""SeqIO tasks that a user's own modules register when they are imported."""

import difflib
import importlib
from collections.abc import Sequence


def registered(task: str, modules: Sequence[str]) -> str:
    """The name of a task or mixture, once the modules that may register it are imported.

    Args:
      task: its name in SeqIO's registries.
      modules: names of modules, looked up in the working directory and in PYTHONPATH.

    Raises:
      ValueError: when there is no such module, or none that registers the name; the message says the nearest.
    """
    import seqio

    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f'{module}.'.startswith(f'{error.name}.'):
                raise
            raise ValueError(
                f'--module={module}: {error}; it is looked up in the working directory and in PYTHONPATH'
            ) from error
    known = [*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()]
    if task not in known:
        close = difflib.get_close_matches(task, known, n=1, cutoff=0.5)
        names = ', '.join(sorted(known)) or 'none'
        hint = f'did you mean {close[0]!r}?' if close else f'registered are: {names}'
        raise ValueError(
            f'no task or mixture {task!r} after importing {", ".join(modules) or "nothing"}; {hint}'
        )
    return task
