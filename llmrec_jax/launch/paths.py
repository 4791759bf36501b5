"""Paths inside a run's folder, for gin files, which cannot join strings."""

import os


def under(parent: str, name: str) -> str:
    """`parent/name`; in gin: `CODE_TABLE = @code_table/paths.under()` with `code_table/paths.under.name = ...`."""
    return os.path.join(parent, name)
