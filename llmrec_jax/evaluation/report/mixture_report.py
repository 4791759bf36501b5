"""The report on an evaluation mixture: a table a family, leaks, and what the run was, in three forms."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.evaluation.report.family_tables import (
    FLOOR,
    HELD_OUT,
    NOTE,
    FamilyBlock,
    FamilyTable,
    TableRow,
    family_tables,
)
from llmrec_jax.evaluation.report.family_text import (
    GLANCE_HEAD,
    block_title,
    families_text,
    family_title,
    glance,
    interval_text,
)
from llmrec_jax.evaluation.report.leaks import Leaks
from llmrec_jax.evaluation.report.markup import (
    Markup,
    document,
    facts,
    grouped,
    join,
    row,
    section,
    subheading,
    table,
    tag,
)
from llmrec_jax.evaluation.report.metric_names import formatted, title
from llmrec_jax.evaluation.report.system_names import system_label
from llmrec_jax.evaluation.task_results import TaskResult

CEILING = 'Ceiling of the next item'
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
    parts = [join((subheading(block_title(block)), _block(block))) for block in family.blocks]
    return section(family_title(family), family.family, *parts)


def _block(block: FamilyBlock) -> Markup:
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
    name = tag('strong', system_label(line.system))
    return join((name, ' ', tag('span', line.kind, class_='badge')))


def _number(line: TableRow, metric: str, best: float | None) -> Markup:
    if metric not in line.measured.metrics:
        return tag('span', '–', class_='quiet')
    value = line.measured.metrics[metric]
    shown = tag('strong' if value == best else 'span', formatted(metric, value))
    ends = interval_text(line, metric)
    return join((shown, tag('small', f'{ends[0]}–{ends[1]}'))) if ends else shown


@dataclasses.dataclass(frozen=True)
class MixtureReport:
    """What is reported of a mixture.

    Attributes:
      title: the page's heading.
      subtitle: what stands below it: the corpus and its size.
      systems: name of a system -> its results; see `family_tables`.
      leaks: what of the held-out events is given away elsewhere.
      left_out: id of a template that the corpus cannot fill -> why.
      ceiling: what no system can expect to exceed where the next item is asked for, by what is told; empty
        where it is not known.
      about: facts on the run under headings of their own, e.g. {'Made with': environment, 'Asked': decoders}.
      config: the operative configuration, as text.
    """

    title: str
    subtitle: str
    systems: Mapping[str, Sequence[TaskResult]]
    leaks: Leaks
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ceiling: Mapping[str, float] = dataclasses.field(default_factory=dict)
    about: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    config: str = ''

    @functools.cached_property
    def tables(self) -> tuple[FamilyTable, ...]:
        """A table for each family."""
        return family_tables(self.systems)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: tables and leaks."""
        return {
            'title': self.title,
            'families': [table.as_dict() for table in self.tables],
            'leaks': self.leaks.as_dict(),
            'left_out': dict(self.left_out),
            'ceiling': dict(self.ceiling),
        }

    def text(self) -> str:
        """As Markdown that reads in a terminal as it is."""
        left_out = [f'- {template}: {why}' for template, why in self.left_out.items()]
        rest = ['', '## Templates that are left out', '', *left_out, ''] if left_out else ['']
        head = [f'# {self.title}', '', self.subtitle, '']
        told = [f'- {what}: {value:.4f}' for what, value in self.ceiling.items()]
        ceiling = [f'## {CEILING}', '', *told, ''] if told else []
        parts = [*head, families_text(self.tables), *ceiling, self.leaks.text(), *rest]
        return '\n'.join(parts).rstrip() + '\n'

    def page(self) -> str:
        """As one HTML file."""
        sections = [
            glance_section(self.tables),
            *(family_section(table) for table in self.tables),
            *([section(CEILING, 'ceiling', facts(self.ceiling))] if self.ceiling else []),
            self.leaks.markup(),
        ]
        if self.left_out:
            sections.append(section('Templates that are left out', 'left-out', facts(self.left_out)))
        for heading, values in self.about.items():
            sections.append(section(heading, heading.lower().replace(' ', '-'), facts(values)))
        if self.config:
            sections.append(section('Operative configuration', 'config', tag('pre', self.config)))
        return document(self.title, self.subtitle, sections)
