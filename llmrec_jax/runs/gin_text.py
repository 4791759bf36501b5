"""How a text is written in gin, as far as that can be told without gin."""

import ast
import contextlib
import re


def unquoted(value: str) -> str | None:
    """The text that a quoted value stands for, as `'runs/x'`; None for a value that is not quoted."""
    value = value.strip()
    if value[:1] in ('"', "'"):
        with contextlib.suppress(ValueError, SyntaxError):
            found = ast.literal_eval(value)
            return found if isinstance(found, str) else None
    return None


def is_reference(value: str) -> bool:
    """Whether gin takes a value for a reference: `%MACRO`, `@name` or `@scope/name()`."""
    return re.fullmatch(r'%[\w./]+|@[\w./]+(\(\))?', value.strip()) is not None


def text_of(value: str) -> str | None:
    """What a value stands for where a text is bound: itself, unless it is quoted; None for a reference."""
    if is_reference(value):
        return None
    quoted = unquoted(value)
    return value.strip() if quoted is None else quoted
