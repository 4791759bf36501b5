"""Marks on the fields of a configuration, for every room: what of them decides a result."""

import dataclasses
from collections.abc import Callable
from typing import Any

_WITHOUT_EFFECT, _DESCRIBED_BY = 'llmrec_without_effect', 'llmrec_described_by'


def without_effect(default: Any = dataclasses.MISSING, *, default_factory: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that does not change what is computed: where, on how many devices, watched how.

    All other fields decide the fingerprint of the stage that they configure, so that a field that nobody
    thought of costs a repetition, never a stale result.

    Args:
      default: the field's default; a field without one must be given.
      default_factory: makes it.
    """
    return dataclasses.field(
        default=default, default_factory=default_factory, metadata={_WITHOUT_EFFECT: True}
    )


def described_by(
    describe: Callable[[Any], Any],
    default: Any = dataclasses.MISSING,
    *,
    default_factory: Any = dataclasses.MISSING,
) -> Any:
    """A dataclass field whose own fields do not say what decides the result, as that of a source of files.

    Args:
      describe: from the field's value to what decides the result.
      default: as in `without_effect`.
      default_factory: likewise.
    """
    return dataclasses.field(
        default=default, default_factory=default_factory, metadata={_DESCRIBED_BY: describe}
    )


def decides_result(field: dataclasses.Field) -> bool:
    """Whether a field counts in fingerprints."""
    return not field.metadata.get(_WITHOUT_EFFECT, False)


def described(field: dataclasses.Field, value: Any) -> Any:
    """What of a field's value counts in fingerprints."""
    return field.metadata.get(_DESCRIBED_BY, lambda whole: whole)(value)
