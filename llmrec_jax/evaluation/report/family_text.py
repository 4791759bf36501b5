"""Tables of families as Markdown that is aligned, so that it reads in a terminal as it is."""

from collections.abc import Sequence

from llmrec_jax.evaluation.answer_kinds.all_kinds import answer_kind
from llmrec_jax.evaluation.report.family_tables import (
    FLOOR,
    HELD_OUT,
    NOTE,
    SEEN,
    FamilyBlock,
    FamilyTable,
    TableRow,
)
from llmrec_jax.evaluation.report.metric_names import formatted, title
from llmrec_jax.evaluation.report.system_names import system_label

_DASH = '–'


def families_text(tables: Sequence[FamilyTable]) -> str:
    """All tables: first each block's main metric against its best floor, then family by family."""
    parts = ['## At a glance', '', glance_text(tables), '', NOTE, '']
    for table in tables:
        parts += [f'## {family_title(table)}', '']
        for block in table.blocks:
            parts += [f'### {block_title(block)}', '', block_text(block), '']
    return '\n'.join(parts)


GLANCE_HEAD = ('Family', 'Metric', 'System', 'Seen template', 'Held-out template', 'Best floor', 'Beats it')


def glance_text(tables: Sequence[FamilyTable]) -> str:
    """The main metric of every block, on seen and on held-out templates, beside the best floor's."""
    return aligned(
        GLANCE_HEAD, [row for table in tables for block in table.blocks for row in glance(table, block)]
    )


def glance(table: FamilyTable, block: FamilyBlock) -> list[list[str]]:
    """A row for each system that a block has results of, under `GLANCE_HEAD`."""
    rows = [row for row in block.rows if row.kind != FLOOR and block.main in row.measured.metrics]
    return [
        _glance_row(table, block, system, [row for row in rows if row.system == system])
        for system in dict.fromkeys(row.system for row in rows)
    ]


def _glance_row(table: FamilyTable, block: FamilyBlock, system: str, rows: Sequence[TableRow]) -> list[str]:
    of_kind = {
        kind: [
            f'{", ".join(row.templates)}: {value_text(row, block.main)}' for row in rows if row.kind == kind
        ]
        for kind in (SEEN, HELD_OUT)
    }
    floors = dict.fromkeys(_floor_text(block, row) for row in rows)
    verdicts = {block.beats_floors(row) for row in rows}
    beats = {True: 'yes', False: 'no', None: _DASH}[verdicts.pop()] if len(verdicts) == 1 else 'some'
    return [
        family_title(table),
        title(block.main),
        system_label(system),
        '; '.join(of_kind[SEEN]) or _DASH,
        '; '.join(of_kind[HELD_OUT]) or _DASH,
        '; '.join(floors),
        beats,
    ]


def _floor_text(block: FamilyBlock, row: TableRow) -> str:
    floor = block.best_floor(row)
    if floor is None:
        return _DASH
    return f'{system_label(floor.system)}: {formatted(block.main, floor.measured.metrics[block.main])}'


def block_text(block: FamilyBlock) -> str:
    """One block: systems on seen templates, on held-out ones, floors."""
    head = ['System', 'Template', '', *map(title, block.metrics), 'Examples']
    rows = [
        [
            system_label(row.system),
            ', '.join(row.templates),
            row.kind,
            *(value_text(row, metric) for metric in block.metrics),
            str(row.measured.examples),
        ]
        for row in block.rows
    ]
    return aligned(head, rows)


def family_title(table: FamilyTable) -> str:
    """'zero_shot' as 'Zero shot'."""
    return table.family.replace('_', ' ').capitalize()


def block_title(block: FamilyBlock) -> str:
    """What the block's tasks ask for, in words."""
    return f'{answer_kind(block.answer).label} ({block.group})'


def value_text(row: TableRow, metric: str) -> str:
    """A value with its interval, a dash where there is none."""
    if metric not in row.measured.metrics:
        return _DASH
    value = formatted(metric, row.measured.metrics[metric])
    ends = interval_text(row, metric)
    return f'{value} [{ends[0]}, {ends[1]}]' if ends else value


def interval_text(row: TableRow, metric: str) -> tuple[str, str] | None:
    """Both ends of a value's interval; None where there is none, or no resample moves the value."""
    if metric not in row.measured.intervals:
        return None
    low, high = (formatted(metric, end) for end in row.measured.intervals[metric])
    return (low, high) if low != high else None


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up."""
    cells = [[cell.replace('|', '\\|') for cell in row] for row in (head, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |'

    rule = '|' + '|'.join('-' * (width + 2) for width in widths) + '|'
    return '\n'.join([line(cells[0]), rule, *map(line, cells[1:])])
