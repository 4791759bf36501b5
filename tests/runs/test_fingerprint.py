import dataclasses
import functools
import math

import numpy as np
import pytest

from llmrec_jax.runs.fingerprint import fingerprint


@dataclasses.dataclass(frozen=True)
class Settings:
    width: int = 1
    inner: object = None


def test_equal_configurations_have_equal_fingerprints():
    assert fingerprint(Settings(2, {'b': 1, 'a': (1, 2)})) == fingerprint(Settings(2, {'a': [1, 2], 'b': 1}))


@pytest.mark.parametrize(
    'other',
    [
        Settings(3, Settings(1, (1, 2))),
        Settings(2, Settings(1, (1, 3))),
        Settings(2, Settings(1, math.sqrt)),
        Settings(2, np.arange(3)),
        Settings(2, np.arange(3.0)),
        Settings(2, functools.partial(math.pow, 2)),
    ],
)
def test_every_field_counts(other):
    assert fingerprint(Settings(2, Settings(1, (1, 2)))) != fingerprint(other)


def test_an_object_with_hidden_state_is_refused():
    class Opaque:
        pass

    with pytest.raises(TypeError, match='Opaque'):
        fingerprint(Settings(1, Opaque()))
