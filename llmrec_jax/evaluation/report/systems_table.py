"""The systems side by side: numbers, intervals, and bars against the ceiling."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.evaluation.report.markup import Markup, join, label, row, table, tag
from llmrec_jax.evaluation.report.report_data import PublishedRow, ReportData
from llmrec_jax.evaluation.results import CEILING

# Titles of the columns that only some systems have.
EXTRA_COLUMNS = {
    'mrr': 'MRR',
    'coverage': 'Coverage',
    'popularity_percentile': 'Popularity',
    'distinct_categories': 'Categories',
    'intra_list_distance': 'List distance',
}


def systems_table(data: ReportData, section: str) -> Markup:
    """Every system of a section: the headline first, then by recall, floors marked, the ceiling last."""
    systems = data.results.systems[section]
    ks = data.results.protocol['ks']
    main = f'recall@{ks[-1]}'
    metrics = [f'{kind}@{k}' for k in ks for kind in ('recall', 'ndcg')]
    extras = [
        f'{name}@{ks[-1]}'
        for name in EXTRA_COLUMNS
        if any(f'{name}@{ks[-1]}' in numbers for numbers in systems.values())
    ]
    scale = full_bar(systems, main)
    head = [
        'System',
        f'{column_title(main)} {"of the ceiling" if CEILING in systems else "against the best"}',
    ]
    head += [column_title(name) for name in metrics + extras] + ['Users/s']
    rows = [
        row(
            [_name(system, data), _bar(systems[system], main, scale, system)]
            + [_number(systems[system], name, systems) for name in metrics]
            + [_number(systems[system], name) for name in extras]
            + [_speed(systems[system])],
            class_=kind(system, data),
        )
        for system in ordered(systems, main, data.headline)
    ]
    if section == 'test':
        rows += [_published(published, metrics, len(extras), main, scale) for published in data.published]
    return table(head, rows)


def full_bar(systems: Mapping[str, Mapping[str, Any]], main: str) -> float:
    """What a whole bar stands for: the ceiling, or the best system where there is no ceiling."""
    if CEILING in systems:
        return systems[CEILING][main]
    return max(numbers[main] for numbers in systems.values())


def ordered(systems: Mapping[str, Mapping[str, Any]], main: str, headline: str | None) -> list[str]:
    """Headline first, ceiling last, the others by the main metric."""
    return sorted(systems, key=lambda name: (name == CEILING, name != headline, -systems[name][main]))


def kind(system: str, data: ReportData) -> str:
    """What sort of row a system has: 'headline', 'floor', 'ceiling' or 'other'."""
    if system == CEILING:
        return 'ceiling'
    if system == data.headline:
        return 'headline'
    return 'floor' if system in data.floors else 'other'


def column_title(metric: str) -> str:
    """'recall@10' as 'Recall@10'."""
    name, _, k = metric.partition('@')
    titles = EXTRA_COLUMNS | {'recall': 'Recall', 'ndcg': 'NDCG'}
    return f'{titles[name]}@{k}'


def _name(system: str, data: ReportData) -> Markup:
    badge = kind(system, data)
    badges = [tag('span', badge, class_='badge')] if badge in ('floor', 'ceiling') else []
    return join((tag('strong', label(system)), ' ', *badges))


def _share(value: float, scale: float) -> float:
    return 100 * min(value / scale, 1.0) if scale > 0 else 0.0


def _bar(numbers: Mapping[str, Any], main: str, scale: float, system: str) -> Markup:
    parts = [tag('i', style=f'width:{_share(numbers[main], scale):.1f}%')]
    if main in numbers.get('intervals', {}):
        low, high = (_share(end, scale) for end in numbers['intervals'][main])
        parts.append(tag('b', style=f'left:{low:.1f}%;width:{high - low:.1f}%'))
    percent = tag('span', f'{100 * numbers[main] / scale:.0f} %' if scale > 0 else '–', class_='percent')
    return tag('div', tag('div', *parts, class_='bar', title=label(system)), percent, class_='barcell')


def _number(
    numbers: Mapping[str, Any], metric: str, systems: Mapping[str, Mapping[str, Any]] | None = None
) -> Markup:
    """The value with its interval below; set bold where no other system but the ceiling reaches more."""
    if metric not in numbers:
        return tag('span', '–', class_='quiet')
    value = numbers[metric]
    rivals = [other[metric] for name, other in (systems or {}).items() if name != CEILING]
    best = bool(rivals) and numbers is not (systems or {}).get(CEILING) and value == max(rivals)
    shown = tag('strong' if best else 'span', f'{value:.4f}' if value < 1.5 else f'{value:.2f}')
    if metric not in numbers.get('intervals', {}):
        return shown
    low, high = numbers['intervals'][metric]
    return join((shown, tag('small', f'{low:.4f}–{high:.4f}')))


def _speed(numbers: Mapping[str, Any]) -> str:
    speed = numbers.get('users_per_second')
    return f'{speed:,.0f}'.replace(',', ' ') if speed is not None else '–'


def _published(
    published: PublishedRow, metrics: Sequence[str], n_extras: int, main: str, scale: float
) -> Markup:
    name = join(
        (
            tag('strong', published.system),
            ' ',
            tag('span', 'published, not measured here', class_='badge'),
            tag('small', published.source),
        )
    )
    bar = _bar(published.metrics, main, scale, published.system) if main in published.metrics else '–'
    cells = [_number(published.metrics, metric) for metric in metrics]
    return row([name, bar, *cells, *['–'] * (n_extras + 1)], class_='published')
