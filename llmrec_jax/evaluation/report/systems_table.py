"""The systems side by side: how often they are right, and what their lists do to the catalogue.

Two more tables stand apart: recall in slices of rare and frequent items and of new and regular users, and
figures of protocols with sampled candidates.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.evaluation.report.markup import (
    Markup,
    facts,
    grouped,
    join,
    row,
    section,
    subheading,
    table,
    tag,
)
from llmrec_jax.evaluation.report.report_data import PublishedRow, ReportData
from llmrec_jax.evaluation.results import BOUNDS, CANDIDATE_CAP, CEILING

ACCURACY = {'recall': 'Recall', 'ndcg': 'NDCG', 'mrr': 'MRR'}
CATALOGUE = {
    'coverage': 'Coverage',
    'popularity_percentile': 'Popularity',
    'exposure_gini': 'Gini of exposure',
    'distinct_categories': 'Categories a list',
    'intra_list_distance': 'Distance in a list',
}
# Means of counts, of which no more than two decimals say anything; other metrics lie in 0..1.
COUNTED = ('distinct_categories',)
_FULL_BARS = {CEILING: 'of the ceiling', CANDIDATE_CAP: 'of the cap'}
Systems = Mapping[str, Mapping[str, Any]]


def systems_table(data: ReportData, section: str) -> Markup:
    """Accuracy of every system: the headline first, then by recall, then bounds and published rows."""
    systems = data.results.systems[section]
    ks = data.results.protocol['ks']
    main = f'recall@{ks[-1]}'
    metrics = [f'{kind}@{k}' for k in ks for kind in ('recall', 'ndcg')] + [f'mrr@{ks[-1]}']
    scale = full_bar(systems, main)
    against = next((said for bound, said in _FULL_BARS.items() if bound in systems), 'against the best')
    head = ['System', f'{column_title(main)} {against}', *map(column_title, metrics), 'Users/s']
    rows = []
    for system in ordered(systems, main, data.headline):
        numbers = systems[system]
        cells = [metric_cell(numbers, name, bold=_is_best(systems, system, name)) for name in metrics]
        bar = metric_bar(numbers, main, scale, data.label(system))
        rows.append(row([_name(system, data), bar, *cells, _speed(numbers)], class_=kind(system, data)))
    if section == 'test':
        rows += [_published(published, metrics, main, scale) for published in data.published]
    return table(head, rows)


def catalogue_table(data: ReportData, section: str) -> Markup:
    """What the systems' lists do to the catalogue; empty where nothing is known of it."""
    systems = data.results.systems[section]
    k = data.results.protocol['ks'][-1]
    metrics = [f'{name}@{k}' for name in CATALOGUE if any(f'{name}@{k}' in one for one in systems.values())]
    if not metrics:
        return Markup('')
    rows = [
        row(
            [tag('strong', data.label(system)), *(metric_cell(systems[system], name) for name in metrics)],
            class_=kind(system, data),
        )
        for system in ordered(systems, f'recall@{k}', data.headline)
        if any(name in systems[system] for name in metrics)
    ]
    return table(['System', *map(column_title, metrics)], rows)


def full_bar(systems: Systems, main: str) -> float:
    """What a whole bar stands for: the ceiling, else the candidates' cap, else the best system."""
    bound = next((bound for bound in _FULL_BARS if bound in systems), None)
    return max(one[main] for one in systems.values()) if bound is None else systems[bound][main]


def ordered(systems: Systems, main: str, headline: str | None) -> list[str]:
    """Headline first, bounds last, the others by the main metric."""
    return sorted(systems, key=lambda name: (name in BOUNDS, name != headline, -systems[name][main]))


def kind(system: str, data: ReportData) -> str:
    """What sort of row a system has: 'headline', 'floor', 'bound' or 'other'."""
    if system in BOUNDS:
        return 'bound'
    if system == data.headline:
        return 'headline'
    return 'floor' if system in data.floors else 'other'


def column_title(metric: str) -> str:
    """'recall@10' as 'Recall@10'."""
    name, _, k = metric.partition('@')
    return f'{(ACCURACY | CATALOGUE)[name]}@{k}' if name in ACCURACY else CATALOGUE[name]


def _name(system: str, data: ReportData) -> Markup:
    badge = kind(system, data)
    badges = [tag('span', badge, class_='badge')] if badge in ('floor', 'bound') else []
    return join((tag('strong', data.label(system)), ' ', *badges))


def _is_best(systems: Systems, system: str, metric: str) -> bool:
    rivals = [one[metric] for name, one in systems.items() if name not in BOUNDS and metric in one]
    return metric in systems[system] and systems[system][metric] == max(rivals)


def _share(value: float, scale: float) -> float:
    return 100 * min(value / scale, 1.0) if scale > 0 else 0.0


def metric_bar(numbers: Mapping[str, Any], main: str, scale: float, called: str) -> Markup:
    """The main metric as a bar with its interval as a line, and as a share of what a whole bar stands for."""
    parts = [tag('i', style=f'width:{_share(numbers[main], scale):.1f}%')]
    if main in numbers.get('intervals', {}):
        low, high = (_share(end, scale) for end in numbers['intervals'][main])
        parts.append(tag('b', style=f'left:{low:.1f}%;width:{high - low:.1f}%'))
    percent = f'{100 * numbers[main] / scale:.0f}\u00a0%' if scale > 0 else '–'
    bar = tag('div', *parts, class_='bar', title=called)
    return tag('div', bar, tag('span', percent, class_='percent'), class_='barcell')


def metric_cell(numbers: Mapping[str, Any], metric: str, *, bold: bool = False) -> Markup:
    """The value, with its interval below where there is one."""
    if metric not in numbers:
        return tag('span', '–', class_='quiet')
    decimals = 2 if metric.partition('@')[0] in COUNTED else 4
    shown = tag('strong' if bold else 'span', f'{numbers[metric]:.{decimals}f}')
    if metric not in numbers.get('intervals', {}):
        return shown
    low, high = numbers['intervals'][metric]
    return join((shown, tag('small', f'{low:.{decimals}f}–{high:.{decimals}f}')))


def _speed(numbers: Mapping[str, Any]) -> str:
    speed = numbers.get('users_per_second')
    return grouped(speed) if speed is not None else '–'


def _published(published: PublishedRow, metrics: Sequence[str], main: str, scale: float) -> Markup:
    badge = tag('span', 'published, not measured here', class_='badge')
    name = join((tag('strong', published.system), ' ', badge, tag('small', published.source)))
    has_bar = main in published.metrics
    bar = metric_bar(published.metrics, main, scale, published.system) if has_bar else '–'
    cells = [metric_cell(published.metrics, metric) for metric in metrics]
    return row([name, bar, *cells, '–'], class_='published')


TITLES = {
    'items': 'By training events of the item that came next',
    'users': 'By training events of the user',
    'transitions': 'By whether training has the step from the last item to the one that came next',
}
SLICES_NOTE = (
    'Below a slice, its number of users; small numbers are bootstrap intervals over these users alone.'
)


def cold_start(data: ReportData) -> Markup:
    """A table for items, one for users, one for transitions; nothing where no slices were measured."""
    systems = data.results.cold_start
    if not systems:
        return Markup('')
    metric = f'recall@{data.results.protocol["ks"][-1]}'
    tables = []
    for sliced_by, title in TITLES.items():
        # Results of before there were slices by transition have none.
        sliced = {name: found[sliced_by] for name, found in systems.items() if sliced_by in found}
        if sliced:
            tables += [subheading(title), _slices_table(data, metric, sliced)]
    return section('Rare items, new users', 'cold-start', *tables, tag('p', SLICES_NOTE, class_='note'))


def _slices_table(data: ReportData, metric: str, systems: Mapping[str, Mapping[str, Any]]) -> Markup:
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
            [
                tag('strong', data.label(name)),
                *(_slices_cell(systems[name][where], metric) for where in slices),
            ],
            class_=kind(name, data),
        )
        for name in known
    ]
    return join((tag('p', column_title(metric), class_='note'), table(head, rows)))


def _slices_cell(measured: Mapping[str, Any], metric: str) -> Markup:
    low, high = measured['intervals'][metric]
    return join((f'{measured[metric]:.4f}', tag('small', f'{low:.4f}–{high:.4f}')))


SAMPLED_NOTE = (
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
        for part in (subheading(_sampled_title(record)), facts(_how(record)), _sampled_table(data, record))
    ]
    return section('Sampled candidates', 'sampled', tag('p', SAMPLED_NOTE, class_='note'), *tables)


def _sampled_title(record: Mapping[str, Any]) -> str:
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


def _sampled_table(data: ReportData, record: Mapping[str, Any]) -> Markup:
    suffix, ks = record['suffix'], record['protocol']['ks']
    metrics = [f'{name}@{k}{suffix}' for k in ks for name in ('recall', 'ndcg')]
    systems = record['systems']
    rows = [
        row(
            [tag('strong', data.label(name)), *(_sampled_cell(systems[name], metric) for metric in metrics)],
            class_=kind(name, data),
        )
        for name in sorted(systems, key=lambda name: -systems[name][metrics[-2]])
    ]
    return table(['System', *map(_sampled_heading, metrics)], rows)


def _sampled_heading(metric: str) -> str:
    """'recall@10_of_101_uniform' as 'Recall@10 of 101 uniform'."""
    name, _, protocol = metric.partition('@')
    return f'{ACCURACY[name]}@{protocol}'.replace('_', ' ')


def _sampled_cell(measured: Mapping[str, Any], metric: str) -> Markup:
    low, high = measured['intervals'][metric]
    return join((f'{measured[metric]:.4f}', tag('small', f'{low:.4f}–{high:.4f}')))
