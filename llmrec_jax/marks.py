"""Marks on the fields of a configuration, for every room: what of them decides a result."""

import dataclasses
from collections.abc import Callable
from typing import Any

_WITHOUT_EFFECT, _DESCRIBED_BY = 'llmrec_without_effect', 'llmrec_described_by'
_SILENT = 'llmrec_silent_default'


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


def silent_default(default: Any) -> Any:
    """A dataclass field that came later than results did: at its default it is in no fingerprint.

    What was done before there was the field stays valid, since the default is what was done then.

    Args:
      default: the field's default, which never changes.
    """
    return dataclasses.field(default=default, metadata={_SILENT: default})


def is_silent(field: dataclasses.Field, value: Any) -> bool:
    """Whether a field is left out of fingerprints at this value."""
    return _SILENT in field.metadata and field.metadata[_SILENT] == value


def decides_result(field: dataclasses.Field) -> bool:
    """Whether a field counts in fingerprints."""
    return not field.metadata.get(_WITHOUT_EFFECT, False)


def described(field: dataclasses.Field, value: Any) -> Any:
    """What of a field's value counts in fingerprints."""
    return field.metadata.get(_DESCRIBED_BY, lambda whole: whole)(value)
