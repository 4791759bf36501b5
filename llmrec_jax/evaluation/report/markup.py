"""Small pieces of HTML, and the frame of a page: one file that needs no other.

Text is escaped here and nowhere else, so that no title can break the page. The style sheet is readable in
light and dark, and on paper.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2330; --quiet: #667085; --line: #e3e7ee;
  --accent: #1f5fd0; --accent-soft: #dce8fd; --floor: #a7b1c2; --ceiling: #2f9e6b; --hit: #d9f2e4;
  --hit-ink: #11623f;
  --warn: #b54708;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10141b; --card: #181e28; --ink: #e6eaf1; --quiet: #94a0b4; --line: #2b3443;
    --accent: #6ea2ff; --accent-soft: #22324f; --floor: #5d6a80; --ceiling: #4cc38a; --hit: #153a2a;
  --hit-ink: #8ce3b8;
    --warn: #f7b27a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 80px; overflow-wrap: anywhere; }
header h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 6px; }
header p { margin: 0; color: var(--quiet); }
nav { margin: 18px 0 0; display: flex; flex-wrap: wrap; gap: 6px 18px; font-size: 14px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 22px 26px 26px;
  margin-top: 22px; }
h2 { font-size: 19px; letter-spacing: -0.01em; margin: 0 0 14px; }
h3 { font-size: 15px; margin: 22px 0 8px; }
p.note { color: var(--quiet); margin: 10px 0 12px; font-size: 13.5px; max-width: 90ch; }
.hero { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 14px; }
.figure { border-radius: 12px; padding: 16px 18px; background: var(--page); border: 1px solid var(--line); }
.figure.headline { background: var(--accent-soft); border-color: transparent; }
.figure .what { color: var(--quiet); font-size: 13px; }
.figure .value { font-size: 34px; font-weight: 650; letter-spacing: -0.02em; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.figure .more { font-size: 13px; color: var(--quiet); }
p.verdict { font-size: 17px; margin: 18px 0 0; max-width: 80ch; }
p.verdict.behind { color: var(--warn); }
.scroll { max-width: calc(100% + 12px); overflow-x: auto; margin: 0 -6px; padding: 0 6px;
  overflow-wrap: normal; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th { text-align: right; font-weight: 600; color: var(--quiet); font-size: 12.5px; padding: 6px 9px;
  vertical-align: bottom;
  border-bottom: 1px solid var(--line); }
td { text-align: right; padding: 8px 9px; border-bottom: 1px solid var(--line); vertical-align: top;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 4px; }
td:first-child { white-space: normal; min-width: 130px; }
tbody tr:last-child td { border-bottom: 0; }
td small { display: block; color: var(--quiet); font-size: 11.5px; font-weight: 400; }
tr.headline td { background: var(--accent-soft); }
tr.behind td { color: var(--warn); }
tr.published td { color: var(--quiet); font-style: italic; }
tr.published .badge { font-style: normal; }
.badge { font-size: 11px; color: var(--quiet); border: 1px solid var(--line); border-radius: 99px;
  padding: 1px 7px;
  font-weight: 500; white-space: nowrap; }
.quiet { color: var(--quiet); }
.barcell { display: flex; align-items: center; gap: 8px; min-width: 180px; padding-top: 3px; }
.bar { position: relative; flex: 1; height: 14px; background: var(--line); border-radius: 4px;
  overflow: hidden; }
.bar i { position: absolute; left: 0; top: 0; bottom: 0; background: var(--floor); }
.bar b { position: absolute; top: 6px; height: 2px; background: var(--ink); opacity: .75; }
tr.headline .bar i { background: var(--accent); }
tr.other .bar i { background: var(--accent); opacity: .55; }
tr.bound .bar i { background: var(--ceiling); }
tr.published .bar i { background: repeating-linear-gradient(45deg, var(--floor) 0 4px, transparent 4px 7px); }
.percent { width: 46px; font-size: 12.5px; color: var(--quiet); }
.charts, .pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr));
  gap: 18px; margin-top: 14px; }
.wide { max-width: 800px; margin-top: 14px; }
figure { margin: 0; }
figcaption { font-weight: 600; font-size: 14px; margin-bottom: 6px; }
figure p { margin: 6px 0 0; color: var(--quiet); font-size: 13px; }
.chart { width: 100%; height: auto; }
.chart text { fill: var(--quiet); font-size: 11.5px; }
.chart .grid { stroke: var(--line); }
.chart .line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.chart .dot { fill: var(--accent); }
.chart .best { fill: var(--ceiling); stroke: var(--card); stroke-width: 1.5; }
.chart .mark { fill: var(--ink); font-weight: 650; }
.chart .front { fill: none; stroke: var(--ceiling); stroke-width: 1.5; stroke-dasharray: 5 4; }
.chart .whisker { stroke: var(--quiet); stroke-width: 1.2; }
.chart .zero { stroke: var(--ink); stroke-width: 1; }
.chart .floor { fill: var(--floor); }
.chart .trained { fill: var(--accent); }
.chart .other { fill: var(--accent); opacity: .55; }
.chart .ring { fill: none; stroke: var(--ceiling); stroke-width: 2; }
.chart text.name { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
.front { color: var(--ceiling); font-weight: 650; }
.pictures img { width: 100%; height: auto; display: block; background: #fff; border-radius: 8px;
  border: 1px solid var(--line); }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 10px 22px;
  margin: 14px 0 0; }
dl.facts dt { color: var(--quiet); font-size: 12.5px; }
dl.facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
details { border-top: 1px solid var(--line); padding: 10px 0; }
details:last-of-type { padding-bottom: 0; }
summary { cursor: pointer; }
summary .where { float: right; font-size: 13px; color: var(--quiet); }
summary .where.found { color: var(--hit-ink); background: var(--hit); border-radius: 99px; padding: 0 9px; }
.lists { display: grid; grid-template-columns: repeat(auto-fill, minmax(205px, 1fr)); gap: 14px 18px;
  margin-top: 12px; }
.lists h4 { margin: 0 0 4px; font-size: 13px; }
.lists ol { margin: 0; padding-left: 22px; font-size: 12.5px; line-height: 1.4; }
.lists li { margin: 0 0 3px; padding: 0 4px; overflow-wrap: anywhere; }
.lists li::marker { color: var(--quiet); }
li.target { background: var(--hit); color: var(--hit-ink); border-radius: 4px; font-weight: 600; }
.folded { margin-top: 20px; }
.history { color: var(--quiet); font-size: 13px; margin: 8px 0 0; }
.came { margin: 4px 0 0; font-size: 14px; }
pre { background: var(--page); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px;
  overflow-x: auto;
  font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; max-height: 520px; margin: 0; }
footer { color: var(--quiet); font-size: 13px; margin-top: 26px; }
@media print { body { background: #fff; } section { break-inside: avoid; } pre { max-height: none; } }
"""


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
    return tag('section', tag('h2', sentence_case(title)), *children, id=anchor)


def subheading(title: str) -> Markup:
    """The heading of what belongs together within a part."""
    return tag('h3', sentence_case(title))


def sentence_case(title: str) -> str:
    """The text with a capital at its beginning, unless its first word has capitals or is a letter alone.

    >>> sentence_case('cold items'), sentence_case('nDCG'), sentence_case('p')
    ('Cold items', 'nDCG', 'p')
    """
    first = title.split(' ')[0]
    return title if len(first) < 2 or first != first.lower() else f'{title[0].upper()}{title[1:]}'


def table(head: Sequence[Any], rows: Iterable[Markup]) -> Markup:
    """A table that scrolls by itself where the page is narrow; rows are made with `row`."""
    named = (cell if isinstance(cell, Markup) else sentence_case(str(cell)) for cell in head)
    header = tag('thead', tag('tr', *(tag('th', cell) for cell in named)))
    return tag('div', tag('table', header, tag('tbody', *rows)), class_='scroll')


def row(cells: Iterable[Any], class_: str | None = None) -> Markup:
    """A table row."""
    return tag('tr', *(tag('td', cell) for cell in cells), class_=class_)


def facts(values: Mapping[str, Any]) -> Markup:
    """Names and values, nested mappings joined by dots, lists of records as tables."""
    leaves = [(name, value) for name, value in flatten(values) if not _is_records(value)]
    pairs = [tag('div', tag('dt', name), tag('dd', readable(value))) for name, value in leaves]
    tables = [
        join((subheading(name), _records_table(value)))
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
    cells = [readable_column([record.get(name) for record in records]) for name in columns]
    return table([name.replace('_', ' ') for name in columns], map(row, zip(*cells)))


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


def readable_column(values: Sequence[Any]) -> list[str]:
    """The values of a column in words, its numbers with the same number of decimals where any has some.

    >>> readable_column([0.5, 1, 0.3333333, None])
    ['0.5000', '1.0000', '0.3333', '–']
    """
    told = [readable(value) for value in values]
    decimals = [
        len(said.partition('.')[2])
        for value, said in zip(values, told)
        if isinstance(value, float) and 'e' not in said
    ]
    if not any(decimals):
        return told
    return [
        f'{value:,.{max(decimals)}f}'.replace(',', '\u202f')
        if isinstance(value, int | float) and not isinstance(value, bool)
        else said
        for value, said in zip(values, told)
    ]


def document(title: str, subtitle: str, sections: Iterable[Markup]) -> str:
    """The whole file: a heading, what stands below it, and the sections."""
    head = tag(
        'head',
        tag('meta', charset='utf-8'),
        tag('meta', name='viewport', content='width=device-width, initial-scale=1'),
        tag('title', title),
        tag('style', Markup(STYLE)),
    )
    header = tag('header', tag('h1', title), tag('p', subtitle))
    return f'<!doctype html>\n{tag("html", head, tag("body", tag("main", header, *sections)), lang="en")}\n'
