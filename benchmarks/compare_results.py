"""Compares two `results.json` of one recipe: every metric of every system must be equal to the last digit.

    python benchmarks/compare_results.py before/results.json after/results.json

Times, memory, versions and the order of systems do not count. Ends with status 1 where a figure differs.
"""

import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

# What depends on the machine and the moment.
MEASURED = ('seconds', 'users_per_second', 'environment', 'stages', 'serving', 'wall_seconds')
MEASURED += ('examples_per_second', 'training_seconds', 'peak_host_bytes', 'peak_device_bytes', 'comparisons')


def figures(content: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Every figure with the path to it."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name not in MEASURED:
                yield from figures(value, f'{path}.{name}')
    elif isinstance(content, list):
        for place, value in enumerate(content):
            yield from figures(value, f'{path}[{place}]')
    else:
        yield path, content


def main() -> None:
    """Prints what differs."""
    before, after = (
        dict(figures(json.loads(pathlib.Path(path).read_text(encoding='utf-8')))) for path in sys.argv[1:3]
    )
    differing = [
        f'{path}: {before.get(path, "absent")} before, {after.get(path, "absent")} after'
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]
    print('\n'.join(differing) or f'{len(before)} figures are equal')
    sys.exit(bool(differing))


if __name__ == '__main__':
    main()
