"""Where real data lie beside the repository; tests that need them skip where they are absent."""

from pathlib import Path

import pytest

_DIRECTORY = Path(__file__).resolve().parents[2] / 'shared' / 'data'


def shared_data(name: str) -> Path:
    """The path of one data set; skips the test when it is not there."""
    path = _DIRECTORY / name
    if not path.exists():
        pytest.skip(f'{path} is absent')
    return path
