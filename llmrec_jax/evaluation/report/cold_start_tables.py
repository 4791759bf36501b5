"""Recall of every system in slices of rare and frequent items, and of new and regular users."""

from collections.abc import Mapping
from typing import Any

from llmrec_jax.evaluation.report.markup import Markup, grouped, join, row, section, table, tag
from llmrec_jax.evaluation.report.report_data import ReportData
from llmrec_jax.evaluation.report.systems_table import column_title, kind, ordered

TITLES = {
    'items': 'By training events of the item that came next',
    'users': 'By training events of the user',
}
NOTE = 'Below a slice, its number of users; small numbers are bootstrap intervals over these users alone.'


def cold_start(data: ReportData) -> Markup:
    """A table for items and one for users; nothing where no slices were measured."""
    systems = data.results.cold_start
    if not systems:
        return Markup('')
    metric = f'recall@{data.results.protocol["ks"][-1]}'
    tables = []
    for sliced_by, title in TITLES.items():
        tables += [
            tag('h3', title),
            _table(data, metric, {name: systems[name][sliced_by] for name in systems}),
        ]
    return section('Rare items, new users', 'cold-start', *tables, tag('p', NOTE, class_='note'))


def _table(data: ReportData, metric: str, systems: Mapping[str, Mapping[str, Any]]) -> Markup:
    slices = next(iter(systems.values()))
    counts = [tag('small', grouped(measured['examples'])) for measured in slices.values()]
    head = ['System', *(join((name, ' ', count)) for name, count in zip(slices, counts))]
    known = [
        name
        for name in ordered(data.results.systems.get('test', {}), metric, data.headline)
        if name in systems
    ]
    rows = [
        row(
            [tag('strong', data.label(name)), *(_cell(systems[name][where], metric) for where in slices)],
            class_=kind(name, data),
        )
        for name in known
    ]
    return join((tag('p', column_title(metric), class_='note'), table(head, rows)))


def _cell(measured: Mapping[str, Any], metric: str) -> Markup:
    low, high = measured['intervals'][metric]
    return join((f'{measured[metric]:.4f}', tag('small', f'{low:.4f}–{high:.4f}')))
