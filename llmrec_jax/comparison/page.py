"""The page of a comparison: one HTML file that needs no other, and looks as a run's report does."""

import itertools
from collections.abc import Sequence
from typing import Any

from llmrec_jax.comparison.charts import difference_chart
from llmrec_jax.comparison.comparison import Comparison, MeasuredSystem
from llmrec_jax.comparison.cost_section import cost_section, row_class
from llmrec_jax.evaluation.report.markup import (
    Markup,
    document,
    facts,
    grouped,
    join,
    readable,
    row,
    section,
    table,
    tag,
)
from llmrec_jax.evaluation.report.systems_table import column_title, full_bar, metric_bar, metric_cell
from llmrec_jax.evaluation.results import BOUNDS, CEILING

TABLE_NOTE = (
    'Small numbers are 95 % bootstrap intervals over users; bold marks the best measured system. Of several '
    'seeds the table shows the mean, with the deviation from seed to seed behind ±.'
)
DIFFERENCE_NOTE = (
    'The same users are resampled for both systems. An interval that leaves 0 out says that the difference '
    'is not the luck of these users; it says nothing of seeds that were not trained. Of several seeds their '
    'mean is compared.'
)


def render(comparison: Comparison) -> str:
    """The page as HTML."""
    corpus = comparison.runs[0].results.corpus
    title = f'{len(comparison.runs)} runs on {corpus.get("name", "one corpus")}'
    sizes = [f'{readable(corpus[key])} {key}' for key in ('users', 'items', 'events') if key in corpus]
    subtitle = ' · '.join([*sizes, f'{grouped(comparison.users)} asked'])
    sections = [
        _headline(comparison),
        *(_systems(comparison, position) for position in comparison.systems),
        cost_section(comparison),
        _runs(comparison),
        section('Protocol', 'protocol', facts(comparison.protocol)),
        section('Corpus', 'corpus', facts(corpus)),
    ]
    return document(title, subtitle, sections)


def _headline(comparison: Comparison) -> Markup:
    measured, metric = comparison.systems[comparison.position], comparison.metric
    trained, reference = comparison.trained, comparison.measured_reference
    chosen = [('best trained', trained[0], 'figure headline')]
    if reference is not trained[0]:
        chosen.append(('reference', reference, 'figure'))
    chosen += [
        ('', one, 'figure') for one in measured if one.system.system == CEILING and metric in one.metrics
    ]
    boxes = [_box(said, one, metric, class_) for said, one, class_ in chosen]
    return section(
        f'{column_title(metric)} on the {comparison.split} split, seen items {comparison.position}',
        'headline',
        tag('div', *boxes, class_='hero'),
        _verdict(comparison),
    )


def _box(said: str, one: MeasuredSystem, metric: str, class_: str) -> Markup:
    more = []
    if metric in one.intervals:
        low, high = one.intervals[metric]
        more.append(f'interval {low:.4f}–{high:.4f}')
    if one.deviations:
        more.append(f'± {one.deviations[metric]:.4f} over {len(one.system.seeds)} seeds')
    return tag(
        'div',
        tag('div', f'{said}: {one.label}' if said else one.label, class_='what'),
        tag('div', f'{one.metrics[metric]:.4f}', class_='value'),
        tag('div', ' · '.join(more), class_='more'),
        class_=class_,
    )


def _verdict(comparison: Comparison) -> Markup:
    """How many of the trained systems are above the reference, and how many below it for certain."""
    told = [one.difference for one in comparison.trained if one.difference is not None]
    if not told:
        return Markup('')
    above = sum(difference.low > 0 for difference in told)
    below = sum(difference.high < 0 for difference in told)
    between = len(told) - above - below
    parts = [
        f'{count} {words}'
        for count, words in ((above, 'above'), (below, 'below'), (between, 'not told apart from'))
        if count
    ]
    reference = comparison.measured_reference.label
    sentence = f'Of {len(told)} trained systems {", ".join(parts)} {reference}.'
    return tag('p', sentence, class_='verdict behind' if not above else 'verdict')


def _systems(comparison: Comparison, position: str) -> Markup:
    measured, metric = comparison.systems[position], comparison.metric
    ks = comparison.runs[0].results.protocol['ks']
    others = [
        name
        for name in (*(f'{kind}@{k}' for k in ks for kind in ('recall', 'ndcg')), f'mrr@{ks[-1]}')
        if name != metric
    ]
    known = {one.name: one for one in measured if metric in one.metrics}
    scale = full_bar({_bound_or_name(one): one.metrics for one in known.values()}, metric)
    reference = comparison.measured_reference.label
    head = ['System', column_title(metric), '', f'against {reference}', 'p', *map(column_title, others)]
    rows = [
        row(
            [
                _name(one),
                metric_bar(_entry(one), metric, scale, one.label) if one.name in known else '–',
                _value(one, metric, measured),
                *_difference(one, comparison),
                *(_value(one, name, measured) for name in others),
            ],
            class_=row_class(one, comparison),
        )
        for one in measured
    ]
    chart = difference_chart(
        f'{column_title(metric)} minus that of {reference}',
        [
            (one.label, one.system.kind, one.difference.difference, one.difference.low, one.difference.high)
            for one in measured
            if one.difference is not None
        ],
    )
    return section(
        f'Seen items {position}',
        f'systems-{position}',
        table(head, rows),
        tag('p', TABLE_NOTE, class_='note'),
        tag('div', chart, class_='wide'),
        tag('p', DIFFERENCE_NOTE, class_='note'),
    )


def _bound_or_name(one: MeasuredSystem) -> str:
    return one.system.system if one.system.system in BOUNDS else one.name


def _entry(one: MeasuredSystem) -> dict[str, Any]:
    return {**one.metrics, 'intervals': one.intervals}


def _name(one: MeasuredSystem) -> Markup:
    kind, seeds = one.system.kind, one.system.seeds
    badges = [tag('span', kind, class_='badge')] if kind in ('floor', 'bound') else []
    if seeds:
        badges.append(tag('span', f'{len(seeds)} seeds: {"; ".join(seeds)}', class_='badge'))
    apart = [tag('small', f'{name} = {readable(value)}') for name, value in _first(one.system.settings)]
    return join((tag('strong', one.label), *(join((' ', badge)) for badge in badges), *apart))


def _first(settings: Any, most: int = 6) -> list[tuple[str, Any]]:
    return list(itertools.islice(settings.items(), most))


def _value(one: MeasuredSystem, metric: str, measured: Sequence[MeasuredSystem]) -> Markup:
    rivals = [
        other.metrics[metric]
        for other in measured
        if other.system.kind != 'bound' and metric in other.metrics
    ]
    bold = one.system.kind != 'bound' and one.metrics.get(metric) == max(rivals)
    cell = metric_cell(_entry(one), metric, bold=bold)
    if metric not in one.deviations:
        return cell
    return join((cell, tag('small', f'± {one.deviations[metric]:.4f}')))


def _difference(one: MeasuredSystem, comparison: Comparison) -> list[Any]:
    difference = one.difference
    if one.name == comparison.reference:
        return [tag('span', 'reference', class_='badge'), '']
    if difference is None:
        return ['–', '']
    shown = f'{difference.difference:+.4f}'
    interval = tag('small', f'{difference.low:+.4f} … {difference.high:+.4f}')
    p_value = '< 0.001' if difference.p_value < 0.001 else f'{difference.p_value:.3f}'
    return [join((shown, interval)), p_value]


def _runs(comparison: Comparison) -> Markup:
    rows = [
        row(
            [
                tag('strong', run.name),
                run.system,
                readable(run.results.environment.get('seed')),
                (run.results.environment.get('commit') or '–')[:10],
                readable(run.results.environment.get('machine')),
            ]
        )
        for run in comparison.runs
    ]
    return section('Runs', 'runs', table(['Run', 'System', 'Seed', 'Commit', 'Machine'], rows))
