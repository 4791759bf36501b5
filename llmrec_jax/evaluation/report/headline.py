"""The first thing on the page: what the run's system reached, against the best floor and the ceiling."""

from typing import Any

from llmrec_jax.evaluation.report.markup import Markup, facts, row, section, table, tag
from llmrec_jax.evaluation.report.report_data import ReportData
from llmrec_jax.evaluation.report.systems_table import column_title
from llmrec_jax.evaluation.results import CEILING, metric_suffix

SECTION = 'test'


def headline(data: ReportData) -> Markup:
    """The main metric of the headline system, the best floor and the ceiling, and a sentence on them."""
    systems = data.results.systems.get(SECTION, {})
    metric = main_metric(data)
    floors = {name: systems[name][metric] for name in data.floors if name in systems}
    best_floor = max(floors, key=floors.get) if floors else None
    reached = systems.get(data.headline) if data.headline else None
    boxes = []
    if reached is not None:
        boxes.append(_box(data.label(data.headline), reached, metric, 'figure headline'))
    if best_floor is not None:
        boxes.append(_box(f'Best floor: {data.label(best_floor)}', systems[best_floor], metric, 'figure'))
    if CEILING in systems:
        boxes.append(_box('Ceiling: the best any system can expect', systems[CEILING], metric, 'figure'))
    return section(
        f'{_title(metric)} on the test split{_rule(data)}',
        'headline',
        tag('div', *boxes, class_='hero'),
        *_verdict(data, best_floor),
    )


def comparisons(data: ReportData) -> Markup:
    """Paired comparisons of the headline system with every other; empty where there are none."""
    rows = [
        row(
            [
                tag('span', f'{data.label(data.headline)} − {data.label(other)}'),
                column_title(metric),
                comparison['seen_items'],
                f'{difference:+.4f}',
                f'{low:+.4f} … {high:+.4f}',
                _p_value(comparison['p_value']),
            ]
        )
        for comparison in data.results.comparisons
        if comparison['split'] == SECTION
        for other, metric, difference, low, high in _towards(data.headline, comparison)
    ]
    if not rows:
        return Markup('')
    head = ['Difference', 'Metric', 'Seen items', 'Mean over users', 'Interval', 'p']
    note = (
        'The same users are resampled for both systems. An interval that leaves 0 out says that the '
        'difference is not the luck of these users; it says nothing of other training seeds.'
    )
    return section('Paired comparisons', 'comparisons', table(head, rows), tag('p', note, class_='note'))


def protocol(data: ReportData) -> Markup:
    """The switches of the evaluation."""
    return facts({name: value for name, value in data.results.protocol.items() if name != 'split'})


def main_metric(data: ReportData) -> str:
    """Recall at the deepest cut-off."""
    return f'recall@{data.results.protocol["ks"][-1]}'


def _rule(data: ReportData) -> str:
    """By which rule, where it is not leave-last-out."""
    suffix = metric_suffix(data.results.protocol)
    return f', by {suffix[1:].replace("_", " ")}' if suffix else ''


def _title(metric: str) -> str:
    return metric.replace('recall', 'Recall')


def _box(name: str, numbers: dict[str, Any], metric: str, class_: str) -> Markup:
    ndcg = metric.replace('recall', 'ndcg')
    more = f'{ndcg.replace("ndcg", "NDCG")} {numbers[ndcg]:.4f}'
    if metric in numbers.get('intervals', {}):
        low, high = numbers['intervals'][metric]
        more = f'interval {low:.4f}–{high:.4f} · {more}'
    return tag(
        'div',
        tag('div', name, class_='what'),
        tag('div', f'{numbers[metric]:.4f}', class_='value'),
        tag('div', more, class_='more'),
        class_=class_,
    )


def _verdict(data: ReportData, best_floor: str | None) -> list[Markup]:
    systems = data.results.systems.get(SECTION, {})
    metric = main_metric(data)
    if data.headline not in systems:
        return []
    value = systems[data.headline][metric]
    said, behind = [], False
    if best_floor is not None:
        floor = systems[best_floor][metric]
        behind = value < floor
        relation = 'below' if behind else 'above'
        times = f' ({value / floor:.2f} times)' if floor > 0 else ''
        if _level(data, best_floor, metric):
            said.append(f'level with {data.label(best_floor)} ({value - floor:+.4f}, an interval around 0)')
        else:
            said.append(f'{abs(value - floor):.4f} {relation} {data.label(best_floor)}{times}')
    if CEILING in systems and systems[CEILING][metric] > 0:
        said.append(f'{100 * value / systems[CEILING][metric]:.0f}\u00a0% of what can be reached at all')
    if not said:
        return []
    sentence = f'{data.label(data.headline)} finds {100 * value:.1f} of 100 next items in its first '
    sentence += f'{metric.partition("@")[2]}: {" and ".join(said)}.'
    return [tag('p', sentence, class_='verdict behind' if behind else 'verdict')]


def _level(data: ReportData, other: str, metric: str) -> bool:
    """Whether the paired interval of the headline system's difference from another holds 0."""
    main = data.results.protocol['seen_items']
    return any(
        name == other and measured == metric and low <= 0 <= high
        for comparison in data.results.comparisons
        if comparison['split'] == SECTION and comparison['seen_items'] == main
        for name, measured, _, low, high in _towards(data.headline, comparison)
    )


def _towards(headline_name: str | None, comparison: dict[str, Any]) -> list[tuple]:
    """The comparison seen from the headline system, turned where it is second; none where it has no part."""
    one, other = comparison['system'], comparison['other']
    difference, low, high = (comparison[name] for name in ('difference', 'low', 'high'))
    if one == headline_name:
        return [(other, comparison['metric'], difference, low, high)]
    if other == headline_name:
        return [(one, comparison['metric'], -difference, -high, -low)]
    return []


def _p_value(value: float) -> str:
    return '< 0.001' if value < 0.001 else f'{value:.3f}'
