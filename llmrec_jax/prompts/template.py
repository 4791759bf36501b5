"""A prompt template, as data, and how it is written out in plain Python."""

import dataclasses
import functools
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

NUMBER = 'number'
# A text, or a list of texts.
Text = str | Sequence[str] | np.ndarray


class Piece(NamedTuple):
    """Literal text, then the field that follows it; None where none does."""

    literal: str
    field: str | None


class Prompt(NamedTuple):
    """What the model reads and what it is to write."""

    inputs: str
    targets: str


@dataclasses.dataclass(frozen=True)
class Listing:
    """How a list is written: one pattern an element, joined.

    `Listing('{number}. {title}, rated {stars}', '; ')` writes '1. Kettle, rated 4; 2. Rug, rated 2' from the
    equally long lists `title` and `stars`. A field that is no list is repeated in every element, and
    `{number}` counts from 1.

    Attributes:
      each: the pattern of an element.
      separator: the pattern between two elements; it names no lists.
    """

    each: str
    separator: str = ', '


@dataclasses.dataclass(frozen=True)
class Template:
    """One wording of one question.

    A pattern is text with fields in braces, `{{` and `}}` standing for braces.

    Attributes:
      id: unique within its family set, e.g. '2-13'.
      family: the family that its results are reported under, e.g. 'sequential'.
      group: the templates of a family that are filled alike and drawn in turn, e.g. 'next_item'.
      inputs: pattern of the input.
      targets: pattern of the target.
      held_out: never drawn in training.
      lists: the fields of the patterns that are lists, and how each is written.

    Raises:
      ValueError: when a pattern is malformed, or a listing is not used.
    """

    id: str
    family: str
    group: str
    inputs: str
    targets: str
    held_out: bool = False
    lists: Mapping[str, Listing] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        try:
            named = {piece.field for pattern in (self.inputs, self.targets) for piece in parse(pattern)}
            for name, listing in self.lists.items():
                if name not in named:
                    raise ValueError(f'it lists {name!r}, which no pattern names')
                if not pattern_fields(listing.each) - {NUMBER}:
                    raise ValueError(f'the elements of {name!r} name no field: {listing.each!r}')
                parse(listing.separator)
        except ValueError as error:
            raise ValueError(f'template {self.id!r} of {self.family!r}: {error}') from error

    @functools.cached_property
    def fields(self) -> frozenset[str]:
        """Every field that must be given: those of the patterns, with those of the listings for lists."""
        named = pattern_fields(self.inputs) | pattern_fields(self.targets)
        for listing in self.lists.values():
            named |= (pattern_fields(listing.each) - {NUMBER}) | pattern_fields(listing.separator)
        return named - frozenset(self.lists)

    def render(self, fields: Mapping[str, Text]) -> Prompt:
        """Writes the template out.

        Args:
          fields: text of each field; a sequence of texts where a listing's elements name it.

        Raises:
          ValueError: when a field is absent, or the lists of one listing differ in length.
        """
        absent = sorted(self.fields - set(fields))
        if absent:
            raise ValueError(
                f'template {self.id!r} of {self.family!r} names {", ".join(absent)}, which the record lacks; '
                f'it has {", ".join(sorted(fields))}'
            )
        texts = dict(fields)
        for name, listing in self.lists.items():
            try:
                texts[name] = _write_list(listing, fields)
            except ValueError as error:
                raise ValueError(f'template {self.id!r} of {self.family!r}, list {name!r}: {error}') from None
        return Prompt(_write(self.inputs, texts), _write(self.targets, texts))


@functools.cache
def parse(pattern: str) -> tuple[Piece, ...]:
    """The pieces of a pattern.

    Raises:
      ValueError: when braces do not match, or hold anything but a field's name.
    """
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(f'pattern {pattern!r}: {error}; a brace itself is written twice') from None
    for _, field, spec, conversion in parts:
        if field is not None and (not field.isidentifier() or spec or conversion):
            raise ValueError(f'pattern {pattern!r}: braces hold the name of a field, and nothing else')
    return tuple(Piece(literal, field) for literal, field, _, _ in parts)


def pattern_fields(pattern: str) -> frozenset[str]:
    """The fields that a pattern names."""
    return frozenset(piece.field for piece in parse(pattern) if piece.field is not None)


def by_id(templates: Iterable[Template]) -> dict[str, Template]:
    """The templates under their ids.

    Raises:
      ValueError: when two have the same id.
    """
    found: dict[str, Template] = {}
    for template in templates:
        if found.setdefault(template.id, template) is not template:
            raise ValueError(f'two templates have the id {template.id!r}')
    return found


def _write(pattern: str, texts: Mapping[str, Text]) -> str:
    return ''.join(literal if field is None else literal + texts[field] for literal, field in parse(pattern))


def _write_list(listing: Listing, fields: Mapping[str, Text]) -> str:
    named = pattern_fields(listing.each) - {NUMBER}
    columns = {name: fields[name] for name in named if not isinstance(fields[name], str)}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f'its elements need fields that are lists of one length, and got lengths {lengths}')
    elements = []
    for row in range(next(iter(lengths.values()))):
        element = {name: fields[name] if name not in columns else columns[name][row] for name in named}
        elements.append(_write(listing.each, {**element, NUMBER: str(row + 1)}))
    return _write(listing.separator, fields).join(elements)
