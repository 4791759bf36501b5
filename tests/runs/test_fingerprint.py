import dataclasses
import functools
import math

import numpy as np
import pytest

from llmrec_jax import marks
from llmrec_jax.runs.fingerprint import changes, describe, fingerprint


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


def test_marked_fields_do_not_count():
    @dataclasses.dataclass(frozen=True)
    class Marked:
        steps: int
        devices: int = marks.without_effect(1)
        path: str = marks.described_by(len, 'abc')

    assert fingerprint(Marked(1, 2, 'xyz')) == fingerprint(Marked(1, 8, 'abc'))
    assert fingerprint(Marked(1, 2, 'xyzw')) != fingerprint(Marked(1, 2, 'abc'))
    assert fingerprint(Marked(2)) != fingerprint(Marked(1))


def test_a_field_that_came_later_counts_but_at_its_default():
    @dataclasses.dataclass(frozen=True)
    class Former:
        FINGERPRINT_TAG = 'Stage'
        steps: int = 1

    @dataclasses.dataclass(frozen=True)
    class Later:
        FINGERPRINT_TAG = 'Stage'
        steps: int = 1
        split: Settings = marks.silent_default(Settings())

    assert fingerprint(Later()) == fingerprint(Former())
    assert fingerprint(Later(split=Settings(2))) != fingerprint(Former())


def moved(cls, module):
    """The class as if its code lay in another module."""
    namespace = {name: value for name, value in vars(cls).items() if name not in ('__dict__', '__weakref__')}
    return type(cls.__name__, cls.__bases__, {**namespace, '__module__': module})


def test_a_class_that_moves_keeps_its_fingerprint():
    before = Settings(2, Settings)
    elsewhere = moved(Settings, 'another.module')
    assert fingerprint(elsewhere(2, elsewhere)) == fingerprint(before)


def test_a_class_that_is_renamed_keeps_its_fingerprint_by_its_tag():
    @dataclasses.dataclass(frozen=True)
    class Renamed:
        FINGERPRINT_TAG = 'Settings'
        width: int = 1
        inner: object = None

    assert fingerprint(Renamed(2)) == fingerprint(Settings(2))


def test_changes_name_the_field():
    before = describe(Settings(2, Settings(1, {'a': 1})))
    assert changes(before, describe(Settings(2, Settings(3, {'a': 1})))) == ['Settings.width: 1 -> 3']
    assert changes(before, describe(Settings(2, None))) == ['Settings.inner: "Settings" -> null']
    assert changes(before, before) == []
