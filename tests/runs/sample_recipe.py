"""Something for the gin tests to configure."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
    width: int = 1
    label: str = 'plain'


@dataclasses.dataclass(frozen=True)
class OtherPart:
    depth: int = 1
    label: str = 'other'


@dataclasses.dataclass(frozen=True)
class Whole:
    part: object
    workdir: str
    extra: object = None
