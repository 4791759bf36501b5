"""Systems under protocols with sampled candidates, apart from those of the full catalogue."""

from collections.abc import Mapping
from typing import Any

from llmrec_jax.evaluation.report.markup import Markup, facts, join, row, section, table, tag
from llmrec_jax.evaluation.report.report_data import ReportData
from llmrec_jax.evaluation.report.systems_table import kind

NOTE = (
    'Each target is ranked among so many drawn items, not among the catalogue: these figures compare with '
    'papers of the same protocol and with nothing else on this page. Systems that do not score every item '
    'are left out.'
)
DRAWN = {
    'uniform': 'any item of the catalogue as likely as another',
    'popularity': 'in proportion to training events; items without any never',
}
NEVER_DRAWN = {
    'nothing': 'the target',
    'history': "the target and the user's history",
    'training': "the target and the user's items in training",
    'sequence': 'the target and all items of the user, held-out ones too',
}


def sampled(data: ReportData) -> Markup:
    """A table a protocol; nothing where none was asked for."""
    records = data.results.sampled
    if not records:
        return Markup('')
    tables = [
        part
        for record in records
        for part in (tag('h3', _title(record)), facts(_how(record)), _table(data, record))
    ]
    return section('Sampled candidates', 'sampled', tag('p', NOTE, class_='note'), *tables)


def _title(record: Mapping[str, Any]) -> str:
    protocol = record['protocol']
    drawn = 'all other items' if protocol['negatives'] is None else f'{protocol["negatives"]} drawn items'
    return f'{protocol["split"].capitalize()} split: the target among {drawn}'


def _how(record: Mapping[str, Any]) -> dict[str, Any]:
    protocol = record['protocol']
    return {
        'drawn': DRAWN[protocol['drawn']],
        'never drawn': NEVER_DRAWN[protocol['excluded']],
        'users': next(iter(record['systems'].values()))['examples'],
        'seed': protocol['seed'],
        'ties': 'count against the target',
    }


def _table(data: ReportData, record: Mapping[str, Any]) -> Markup:
    suffix, ks = record['suffix'], record['protocol']['ks']
    metrics = [f'{name}@{k}{suffix}' for k in ks for name in ('recall', 'ndcg')]
    systems = record['systems']
    rows = [
        row(
            [tag('strong', data.label(name)), *(_cell(systems[name], metric) for metric in metrics)],
            class_=kind(name, data),
        )
        for name in sorted(systems, key=lambda name: -systems[name][metrics[-2]])
    ]
    return table(['System', *metrics], rows)


def _cell(measured: Mapping[str, Any], metric: str) -> Markup:
    low, high = measured['intervals'][metric]
    return join((f'{measured[metric]:.4f}', tag('small', f'{low:.4f}–{high:.4f}')))
