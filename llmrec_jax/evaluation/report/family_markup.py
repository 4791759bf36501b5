"""Tables of families as parts of a page."""

from collections.abc import Sequence

from llmrec_jax.evaluation.report.family_tables import FLOOR, HELD_OUT, NOTE, Block, FamilyTable, TableRow
from llmrec_jax.evaluation.report.family_text import (
    GLANCE_HEAD,
    block_title,
    family_title,
    glance,
    interval_text,
)
from llmrec_jax.evaluation.report.markup import Markup, grouped, join, row, section, table, tag
from llmrec_jax.evaluation.report.metric_names import formatted, title

_CLASSES = {FLOOR: 'floor', HELD_OUT: 'other'}


def glance_section(tables: Sequence[FamilyTable]) -> Markup:
    """The main metric of every block, on seen and on held-out templates, beside the best floor's."""
    rows = [
        row(cells, class_='behind' if cells[-1] in ('no', 'some') else None)
        for family in tables
        for block in family.blocks
        for cells in glance(family, block)
    ]
    return section('At a glance', 'glance', table(GLANCE_HEAD, rows), tag('p', NOTE, class_='note'))


def family_section(family: FamilyTable) -> Markup:
    """All blocks of a family."""
    parts = [join((tag('h3', block_title(block)), _block(block))) for block in family.blocks]
    return section(family_title(family), family.family, *parts)


def _block(block: Block) -> Markup:
    head = ['System', 'Template', *map(title, block.metrics), 'Examples']
    rows = [
        row(
            [
                _name(line),
                ', '.join(line.templates),
                *(_number(line, metric, block.best(metric)) for metric in block.metrics),
                grouped(line.measured.examples),
            ],
            class_=_CLASSES.get(line.kind, 'headline'),
        )
        for line in block.rows
    ]
    return table(head, rows)


def _name(line: TableRow) -> Markup:
    name = tag('strong', line.system.replace('_', ' '))
    return join((name, ' ', tag('span', line.kind, class_='badge')))


def _number(line: TableRow, metric: str, best: float | None) -> Markup:
    if metric not in line.measured.metrics:
        return tag('span', '–', class_='quiet')
    value = line.measured.metrics[metric]
    shown = tag('strong' if value == best else 'span', formatted(metric, value))
    ends = interval_text(line, metric)
    return join((shown, tag('small', f'{ends[0]}–{ends[1]}'))) if ends else shown
