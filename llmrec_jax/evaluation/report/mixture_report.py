"""The report on an evaluation mixture: a table a family, leaks, and what the run was, in three forms."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.evaluation.report.document import document
from llmrec_jax.evaluation.report.family_markup import family_section, glance_section
from llmrec_jax.evaluation.report.family_tables import FamilyTable, family_tables
from llmrec_jax.evaluation.report.family_text import families_text
from llmrec_jax.evaluation.report.leaks import Leaks
from llmrec_jax.evaluation.report.markup import facts, section, tag
from llmrec_jax.evaluation.task_results import TaskResult


@dataclasses.dataclass(frozen=True)
class MixtureReport:
    """What is reported of a mixture.

    Attributes:
      title: the page's heading.
      subtitle: what stands below it: the corpus and its size.
      systems: name of a system -> its results; see `family_tables`.
      leaks: what of the held-out events is given away elsewhere.
      left_out: id of a template that the corpus cannot fill -> why.
      about: facts on the run under headings of their own, e.g. {'Made with': environment, 'Asked': decoders}.
      config: the operative configuration, as text.
    """

    title: str
    subtitle: str
    systems: Mapping[str, Sequence[TaskResult]]
    leaks: Leaks
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
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
        }

    def text(self) -> str:
        """As Markdown that reads in a terminal as it is."""
        left_out = [f'- {template}: {why}' for template, why in self.left_out.items()]
        rest = ['', '## Templates that are left out', '', *left_out, ''] if left_out else ['']
        head = [f'# {self.title}', '', self.subtitle, '']
        return '\n'.join([*head, families_text(self.tables), self.leaks.text(), *rest]).rstrip() + '\n'

    def page(self) -> str:
        """As one HTML file."""
        sections = [
            glance_section(self.tables),
            *(family_section(table) for table in self.tables),
            self.leaks.markup(),
        ]
        if self.left_out:
            sections.append(section('Templates that are left out', 'left-out', facts(self.left_out)))
        for heading, values in self.about.items():
            sections.append(section(heading, heading.lower().replace(' ', '-'), facts(values)))
        if self.config:
            sections.append(section('Operative configuration', 'config', tag('pre', self.config)))
        return document(self.title, self.subtitle, sections)
