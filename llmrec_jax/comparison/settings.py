"""What a run was configured with, by the records of its stages: its settings, and apart from them its seeds.

A seed is a field `seed`, or one whose name ends so, of a configured class. The seed that made a simulated
corpus is none: another one is another corpus.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llmrec_jax.runs.record import StageRecord

# How many parts of a path tell a setting apart for whoever reads it.
_SHOWN_PARTS = 2


def settings(records: Iterable[StageRecord]) -> dict[str, Any]:
    """Every value that is no seed by its path, e.g. `train.trainer.steps`."""
    return {
        path: value
        for record in records
        for path, value, is_seed in _leaves(record.config, record.name)
        if not is_seed
    }


def seeds(records: Iterable[StageRecord]) -> dict[str, int]:
    """Every seed by its path, e.g. `train.trainer.seed`."""
    return {
        path: value
        for record in records
        for path, value, is_seed in _leaves(record.config, record.name)
        if is_seed
    }


def values_by_path(value: Mapping[str, Any]) -> dict[str, Any]:
    """Every value of nested plain JSON by its path."""
    return {path.lstrip('.'): leaf for path, leaf, _ in _leaves(value, '')}


def differences(descriptions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each description the values that not all have.

    What stands in several places with the same values, as a trainer in the stages that read what it trained,
    is told once.

    Args:
      descriptions: values by path; a path that one does not have is left out for it.

    Returns:
      For each description, values by the ends of their paths.
    """
    told: list[dict[str, Any]] = [{} for _ in descriptions]
    seen = set()
    for path in sorted({path for one in descriptions for path in one}):
        values = [json.dumps(one[path]) if path in one else None for one in descriptions]
        shown = '.'.join(path.split('.')[-_SHOWN_PARTS:])
        if len(set(values)) == 1 or (shown, *values) in seen:
            continue
        seen.add((shown, *values))
        for found, one in zip(told, descriptions):
            if path in one:
                # Two places that end alike and differ otherwise are told by their whole paths.
                found[path if shown in found else shown] = one[path]
    return told


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any, bool]]:
    """(path, value, whether it is a seed) of everything below `value`."""
    if isinstance(value, dict) and value:
        for name, entry in value.items():
            # Only what has a class is a configured object; other mappings are data, as a corpus's identity.
            if 'class' in value and _names_a_seed(name) and isinstance(entry, int):
                yield f'{path}.{name}', entry, True
            else:
                yield from _leaves(entry, f'{path}.{name}')
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for place, entry in enumerate(value):
            yield from _leaves(entry, f'{path}.{place}')
    else:
        yield path, value, False


def _names_a_seed(name: str) -> bool:
    return name == 'seed' or name.endswith('_seed')
