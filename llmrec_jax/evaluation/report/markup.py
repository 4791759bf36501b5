"""Small pieces of HTML. Text is escaped here and nowhere else, so that no title can break the page."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_VOID = ('img', 'meta')


class Markup(str):
    """HTML that is safe to put on the page as it is."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """Escapes anything that is not markup yet."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def join(parts: Iterable[Any]) -> Markup:
    """Parts one after the other."""
    return Markup(''.join(text(part) for part in parts))


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """An element; `class_` is `class`, an underscore in a name is a hyphen, None leaves it out."""
    written = ''.join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f'<{name}{written}>' if name in _VOID else f'<{name}{written}>{join(children)}</{name}>')


def section(title: str, anchor: str, *children: Any) -> Markup:
    """A part of the page with its heading."""
    return tag('section', tag('h2', title), *children, id=anchor)


def table(head: Sequence[Any], rows: Iterable[Markup]) -> Markup:
    """A table that scrolls by itself where the page is narrow; rows are made with `row`."""
    header = tag('thead', tag('tr', *(tag('th', cell) for cell in head)))
    return tag('div', tag('table', header, tag('tbody', *rows)), class_='scroll')


def row(cells: Iterable[Any], class_: str | None = None) -> Markup:
    """A table row."""
    return tag('tr', *(tag('td', cell) for cell in cells), class_=class_)


def facts(values: Mapping[str, Any]) -> Markup:
    """Names and values, nested mappings joined by dots, lists of records as tables."""
    leaves = [(name, value) for name, value in flatten(values) if not _is_records(value)]
    pairs = [tag('div', tag('dt', name), tag('dd', readable(value))) for name, value in leaves]
    tables = [
        join((tag('h3', name), _records_table(value)))
        for name, value in flatten(values)
        if _is_records(value)
    ]
    return join([tag('dl', *pairs, class_='facts') if pairs else '', *tables])


def flatten(values: Mapping[str, Any], prefix: str = '') -> list[tuple[str, Any]]:
    """Leaves of nested mappings with their dotted names."""
    leaves = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            leaves += flatten(value, f'{prefix}{name}.')
        else:
            leaves.append((f'{prefix}{name}'.replace('_', ' '), value))
    return leaves


def _is_records(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _records_table(records: Sequence[Mapping[str, Any]]) -> Markup:
    columns = list(dict.fromkeys(name for record in records for name in record))
    rows = [row([readable(record.get(name)) for name in columns]) for record in records]
    return table([name.replace('_', ' ') for name in columns], rows)


def grouped(value: float | int) -> str:
    """A whole number with its thousands set apart, never broken over lines."""
    return f'{value:,.0f}'.replace(',', '\u202f')


def readable(value: Any) -> str:
    """A value in words: numbers short, lists separated by commas, nothing as a dash."""
    if value is None:
        return '–'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, int):
        return grouped(value)
    if isinstance(value, float):
        return f'{value:.4g}' if abs(value) < 10_000 else grouped(value)
    if isinstance(value, Mapping):
        return ', '.join(f'{name}: {readable(entry)}' for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ', '.join(readable(entry) for entry in value) or 'none'
    return str(value)
