"""Puts the report together: one HTML file that needs no other."""

import base64
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax import files
from llmrec_jax.evaluation.report.examples import examples_markup
from llmrec_jax.evaluation.report.generative import code_levels, diversity, unseen_items
from llmrec_jax.evaluation.report.headline import comparisons, headline, protocol
from llmrec_jax.evaluation.report.line_chart import line_chart
from llmrec_jax.evaluation.report.markup import (
    Markup,
    document,
    facts,
    grouped,
    join,
    readable,
    row,
    section,
    subheading,
    table,
    tag,
)
from llmrec_jax.evaluation.report.report_data import Picture, ReportData
from llmrec_jax.evaluation.report.systems_table import catalogue_table, cold_start, sampled, systems_table

TABLE_NOTE = 'Small numbers are bootstrap intervals over users; bold marks the best measured system.'
CATALOGUE_NOTE = (
    'Coverage: share of the catalogue that is listed for anybody. Popularity: mean share of the catalogue '
    'that is less popular than a listed item; drawing at random gives 0.5. Gini of exposure: 0 where all '
    'items are listed equally often, 1 where a few take every slot. Distance: mean cosine distance of item '
    'vectors.'
)


def render(data: ReportData) -> str:
    """The page as HTML; whatever `data` lacks is left out."""
    sections = [
        headline(data),
        _systems(data),
        comparisons(data),
        cold_start(data),
        code_levels(data),
        unseen_items(data),
        diversity(data),
        sampled(data),
        _learning(data),
        _semantic_ids(data),
        _facts_section('Decoding', 'decoding', data.results.decoding),
        _facts_section('Serving', 'serving', data.results.serving),
        _examples(data),
        _stages(data.results.stages),
        _facts_section('Corpus', 'corpus', data.results.corpus),
        _facts_section('Made with', 'environment', data.results.environment),
        _config(data.config),
    ]
    return document(data.title, _subtitle(data.results.corpus), sections)


def write_report(data: ReportData, path: pathlib.Path) -> None:
    """Writes the page, of which a reader never sees half."""
    files.write_text(path, render(data))


def _subtitle(corpus: Mapping[str, Any]) -> str:
    name = corpus.get('name', 'corpus')
    sizes = [f'{readable(corpus[key])} {key}' for key in ('users', 'items', 'events') if key in corpus]
    return ' · '.join([str(name), *sizes])


def _systems(data: ReportData) -> Markup:
    sections = {name: systems for name, systems in data.results.systems.items() if systems}
    shown, folded = [], []
    for name in sections:
        catalogue = catalogue_table(data, name)
        tables = [systems_table(data, name), tag('p', TABLE_NOTE, class_='note')]
        if catalogue:
            tables += [subheading('What the lists do to the catalogue'), catalogue]
            tables.append(tag('p', CATALOGUE_NOTE, class_='note'))
        if name == 'test':
            shown += tables
        else:
            folded.append(tag('details', tag('summary', _section_title(name)), *tables))
    return section(
        'Systems',
        'systems',
        *shown,
        subheading('Protocol'),
        protocol(data),
        tag('div', *folded, class_='folded'),
    )


def _section_title(name: str) -> str:
    split, _, seen_items = name.partition('_seen_')
    return (
        f'{split.capitalize()} split, seen items {seen_items}'
        if seen_items
        else f'{split.capitalize()} split'
    )


def _learning(data: ReportData) -> Markup:
    if not data.curves and not data.results.training:
        return Markup('')
    charts = tag('div', *(line_chart(curve) for curve in data.curves), class_='charts')
    return section('Training', 'training', charts, facts(data.results.training))


def _semantic_ids(data: ReportData) -> Markup:
    if not data.pictures and not data.results.semantic_ids:
        return Markup('')
    pictures = tag('div', *(_picture(picture) for picture in data.pictures), class_='pictures')
    return section('Semantic IDs', 'semantic-ids', facts(data.results.semantic_ids), pictures)


def _picture(picture: Picture) -> Markup:
    source = f'data:image/png;base64,{base64.b64encode(picture.png).decode()}'
    image = tag('img', src=source, alt=picture.title)
    return tag('figure', tag('figcaption', picture.title), image, tag('p', picture.caption))


def _examples(data: ReportData) -> Markup:
    if not data.examples:
        return Markup('')
    rule = tag('p', data.examples_rule, class_='note')
    return section('Users to look at', 'examples', rule, *examples_markup(data))


def _stages(stages: Sequence[Mapping[str, Any]]) -> Markup:
    if not stages:
        return Markup('')
    longest = max(stage['seconds'] for stage in stages) or 1.0
    rows = [
        row(
            [
                tag('strong', stage['name']),
                _duration_bar(stage['seconds'] / longest),
                f'{stage["seconds"]:.1f} s',
                f'{grouped(stage["peak_memory_mb"])}\u00a0MB',
                'reused' if stage['reused'] else 'ran',
            ]
        )
        for stage in stages
    ]
    total = sum(stage['seconds'] for stage in stages)
    ran = sum(stage['seconds'] for stage in stages if not stage['reused'])
    note = f'All stages took {total:.0f} s; this run spent {ran:.0f} s of them, the rest was reused.'
    if ran == total:
        note = f'All stages took {total:.0f} s.'
    head = ['Stage', '', 'Wall time', 'Peak memory', 'In this run']
    return section('Stages', 'stages', table(head, rows), tag('p', note, class_='note'))


def _duration_bar(share: float) -> Markup:
    bar = tag('div', tag('i', style=f'width:{100 * share:.1f}%'), class_='bar')
    return tag('div', bar, class_='barcell')


def _facts_section(title: str, anchor: str, values: Mapping[str, Any]) -> Markup:
    return section(title, anchor, facts(values)) if values else Markup('')


def _config(config: str) -> Markup:
    if not config:
        return Markup('')
    return section('Operative configuration', 'config', join([tag('pre', config)]))
