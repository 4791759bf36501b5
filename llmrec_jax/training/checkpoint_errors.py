"""One kind of error for every checkpoint that cannot be read or written."""

import contextlib
import os
from collections.abc import Iterator


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read or written; the message says what to do."""


@contextlib.contextmanager
def reading(path: str | os.PathLike, mend: str) -> Iterator[None]:
    """Turns whatever goes wrong inside into a `CheckpointError` that names `path` and the way to mend it."""
    try:
        yield
    except CheckpointError:
        raise
    # What a damaged file raises depends on which byte is damaged; all of it means the same to the reader.
    except Exception as error:
        raise CheckpointError(f'{path} cannot be read ({first_line(error)}); {mend}') from error


def first_line(error: Exception) -> str:
    """Kind and first line of `error`, without the long specifications that tensorstore appends."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0].split(" [tensorstore_spec=")[0] if lines else ""}'
