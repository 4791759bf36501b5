"""What was found out about a generative retriever: code by code, of unseen items, at higher temperatures."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.evaluation.report.markup import Markup, grouped, join, row, section, subheading, table, tag
from llmrec_jax.evaluation.report.report_data import ReportData
from llmrec_jax.evaluation.report.systems_table import kind, ordered

LEVELS_NOTE = (
    'Hits: share of users with an item in the list that has the first codes of the item that came next; '
    'with all codes it is that item. Of the first item of a list: how often a code is right where the '
    'codes before it are, and, below, where they are not.'
)
UNSEEN_NOTE = (
    'Recall of targets that training knows nothing of, by the largest share of a list that such items may '
    'take; below it the interval over these users, and the recall of the other targets. Above the rival: the '
    'paired difference to the better of the two nearest-text systems.'
)
DIVERSITY_NOTE = (
    'Entropy, in bits, of the categories in a list; below it the interval over users, and recall.'
)


def code_levels(data: ReportData) -> Markup:
    """A row a system, columns level by level; nothing where there are no codes."""
    systems = data.results.generative.get('code_levels', {})
    k = data.results.protocol['ks'][-1]
    shown = [
        name
        for name in ordered(data.results.systems.get('test', {}), f'recall@{k}', data.headline)
        if name in systems
    ]
    if not shown:
        return Markup('')
    levels = range(1, len(systems[shown[0]]) + 1)
    head = ['System', *(f'Hit@{k}, {n} codes' if n > 1 else f'Hit@{k}, 1 code' for n in levels)]
    head += [f'Code {n} right' for n in levels]
    rows = []
    for name in shown:
        cells = [f'{level["hit"]:.4f}' for level in systems[name]]
        cells += [
            join((_share(level['right_after_right']), tag('small', _share(level['right_after_wrong']))))
            for level in systems[name]
        ]
        rows.append(row([tag('strong', data.label(name)), *cells], class_=kind(name, data)))
    return section('Code by code', 'code-levels', table(head, rows), tag('p', LEVELS_NOTE, class_='note'))


def unseen_items(data: ReportData) -> Markup:
    """A table a cut-off, columns by quota; nothing where it was not measured."""
    told = data.results.generative.get('unseen_items')
    if not told:
        return Markup('')
    points = told['points']
    quotas = _values(points, 'quota')
    parts: list[Any] = [
        tag(
            'p',
            f'{grouped(told["unseen_cases"])} of {grouped(told["cases"])} test users ask for one of '
            f'{grouped(told["unseen_items"])} items without training events.',
        )
    ]
    for k in _values(points, 'k'):
        rows = []
        for name in _values(points, 'system'):
            of_system = [point for point in points if (point['system'], point['k']) == (name, k)]
            rows.append(row([tag('strong', data.label(name)), *map(_unseen_cell, of_system)]))
        chance = [point['chance'] for point in points if (point['system'], point['k']) == (name, k)]
        rows.append(row([tag('strong', 'Drawn at random'), *(f'{value:.4f}' for value in chance)]))
        parts += [subheading(f'Recall@{k}'), table(['System', *(f'up to {q:.0%}' for q in quotas)], rows)]
    parts.append(tag('p', UNSEEN_NOTE, class_='note'))
    return section('Items that training has not seen', 'unseen-items', *parts)


def diversity(data: ReportData) -> Markup:
    """A row a temperature, columns by cut-off; nothing where it was not measured."""
    told = data.results.generative.get('diversity')
    if not told:
        return Markup('')
    points = told['points']
    rows = [
        row(
            [
                tag('strong', f'{temperature:g}'),
                *(_entropy_cell(point) for point in points if point['temperature'] == temperature),
            ]
        )
        for temperature in _values(points, 'temperature')
    ]
    head = ['Temperature', *(f'Entropy@{k}' for k in _values(points, 'k'))]
    return section('Diversity', 'diversity', table(head, rows), tag('p', DIVERSITY_NOTE, class_='note'))


def _values(points: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return list(dict.fromkeys(point[name] for point in points))


def _share(value: float | None) -> str:
    return '–' if value is None else f'{value:.3f}'


def _unseen_cell(point: Mapping[str, Any]) -> Markup:
    parts = [
        f'{point["unseen_recall"]:.4f}',
        tag('small', f'{point["unseen_recall_low"]:.4f}–{point["unseen_recall_high"]:.4f}'),
        tag('small', f'others {point["other_recall"]:.4f}'),
    ]
    if 'above_rival' in point:
        low, high = point['above_rival_low'], point['above_rival_high']
        parts.append(tag('small', f'above the rival {point["above_rival"]:+.4f} ({low:+.4f} to {high:+.4f})'))
    return join(parts)


def _entropy_cell(point: Mapping[str, Any]) -> Markup:
    ends = f'{point["entropy_low"]:.3f}–{point["entropy_high"]:.3f}'
    return join(
        (f'{point["entropy"]:.3f}', tag('small', ends), tag('small', f'recall {point["recall"]:.4f}'))
    )
