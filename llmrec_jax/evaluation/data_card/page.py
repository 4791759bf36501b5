"""A data card as a page: one HTML file that needs no other, in the look of the reports."""

import pathlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from llmrec_jax import files
from llmrec_jax.evaluation.data_card.card import DataCard
from llmrec_jax.evaluation.data_card.findings import findings
from llmrec_jax.evaluation.id_leak import K
from llmrec_jax.evaluation.report.line_chart import line_chart
from llmrec_jax.evaluation.report.markup import (
    Markup,
    document,
    facts,
    grouped,
    readable,
    row,
    section,
    subheading,
    table,
    tag,
)
from llmrec_jax.evaluation.report.report_data import Curve

HTML, JSON, GIN = 'data_card.html', 'data_card.json', 'corpus.gin'
# Smaller times are ranks in a history and no clock's.
_LEAST_CLOCK = 10**8


def write_card(card: DataCard, directory: pathlib.Path) -> None:
    """Writes the page, the numbers and the gin file, each whole or not at all."""
    files.write_text(directory / GIN, card.gin)
    files.write_json(directory / JSON, card.as_dict())
    files.write_text(directory / HTML, render(card, directory / GIN))


def render(card: DataCard, gin_file: pathlib.Path) -> str:
    """The page as HTML; `gin_file` is where the card's gin lines lie."""
    sections = [
        _sizes(card),
        _findings(card),
        _use(card, gin_file),
        _histories(card),
        _popularity(card),
        _splits(card),
        _texts(card),
        _ids(card),
        _left_out(card),
        section('How it was made', 'provenance', facts(card.provenance)),
        _sample(card),
    ]
    sizes = [f'{readable(card.sizes[key])} {key}' for key in ('users', 'items', 'events')]
    return document(f'Data card: {card.name}', ' · '.join(sizes), sections)


def _sizes(card: DataCard) -> Markup:
    first, last = card.times['first'], card.times['last']
    when = f'{_day(first)} – {_day(last)}' if last >= _LEAST_CLOCK else 'no clock'
    boxes = [
        _box('events', grouped(card.sizes['events']), when),
        _box('users', grouped(card.sizes['users']), f'{card.histories["mean"]:.1f} events a user'),
        _box(
            'items', grouped(card.sizes['items']), f'{_percent(card.sizes["density"])} of all pairs are met'
        ),
        _box('events that tie in time', _percent(card.times['tied_events_share']), 'same user, same time'),
        _box('test targets never trained on', _percent(card.splits['test']['cold_share']), 'leave-last-out'),
        _box(
            'items without text', grouped(card.texts['items_without_text']), 'neither title nor other words'
        ),
    ]
    return section('At a glance', 'sizes', tag('div', *boxes, class_='hero'))


def _box(what: str, value: str, more: str) -> Markup:
    parts = [
        tag('div', what, class_='what'),
        tag('div', value, class_='value'),
        tag('div', more, class_='more'),
    ]
    return tag('div', *parts, class_='figure')


def _findings(card: DataCard) -> Markup:
    said = [tag('p', sentence, class_='verdict behind') for sentence in findings(card)]
    return section('To decide before training', 'findings', *said) if said else Markup('')


def _use(card: DataCard, gin_file: pathlib.Path) -> Markup:
    note = 'The file lies beside this page. Given after any recipe, it takes the place of the corpus there:'
    command = (
        f'python -m llmrec_jax.run --gin_file=gin_configs/sasrec/base.gin --gin_file={gin_file} \\\n'
        '    --gin.DROPOUT=0.3 --gin.TRAIN_STEPS=3000 --gin.WORKDIR=runs/my_corpus --stages=corpus,floors'
    )
    lines = tag('pre', card.gin.strip())
    return section(
        'Use it in a recipe',
        'use',
        tag('pre', command),
        tag('p', note, class_='note'),
        subheading(GIN),
        lines,
    )


def _histories(card: DataCard) -> Markup:
    return section(
        'Histories',
        'histories',
        _quantile_table(card.histories['quantiles'], 'Events of a user'),
        subheading('Users by the length of their history'),
        _bars(card.histories['histogram'], 'Events', 'Users'),
    )


def _popularity(card: DataCard) -> Markup:
    popularity = card.popularity
    curve = Curve(
        'Share of the events that the most popular items have, in %',
        list(range(len(popularity['curve']))),
        [100 * share for share in popularity['curve']],
        across='most popular items, in %',
    )
    heads = popularity['share_of_top_percent']
    numbers = {
        'Gini coefficient': popularity['gini'],
        **{f'events of the top {head} % of items': _percent(share) for head, share in heads.items()},
        'items without events': popularity['items_without_events'],
        'events that repeat an item of the history': _percent(card.times['repeated_items_share']),
    }
    return section(
        'Popularity',
        'popularity',
        _quantile_table(popularity['quantiles'], 'Events of an item'),
        facts(numbers),
        tag('div', line_chart(curve), class_='charts'),
        subheading('Items by their number of events'),
        _bars(popularity['histogram'], 'Events', 'Items'),
    )


def _splits(card: DataCard) -> Markup:
    train = card.splits['train']
    rows = [row(['train', '–', grouped(train['events']), grouped(train['items']), '–', '–'])]
    rows += [
        row(
            [
                name,
                grouped(cases['cases']),
                grouped(cases['cases']),
                grouped(cases['items']),
                grouped(cases['cold_targets']),
                _percent(cases['cold_share']),
            ]
        )
        for name, cases in card.splits.items()
        if name != 'train'
    ]
    head = ['Split', 'Cases', 'Events', 'Different items', 'Targets never trained on', 'Share']
    note = (
        'Leave-last-out: the last event of a user is the test target, the one before it the validation one.'
    )
    return section('Splits', 'splits', table(head, rows), tag('p', note, class_='note'))


def _texts(card: DataCard) -> Markup:
    texts = card.texts
    rows = [row([name, _bar(share), _percent(share)]) for name, share in texts['share_with'].items()]
    named = ', '.join(texts['for_example']) or 'none'
    numbers = {
        'items without text': texts['items_without_text'],
        'lists call them by their ids, for example': named,
        'items with the title of another': texts['items_that_share_a_title'],
    }
    return section("Items' texts", 'texts', table(['Field', '', 'Items that have it'], rows), facts(numbers))


def _ids(card: DataCard) -> Markup:
    if card.id_leak is None:
        said = 'There is no held-out event to play on, or two items have one id.'
        return section('Ids', 'ids', tag('p', said, class_='note'))
    warned = 'verdict behind' if card.id_leak.leaks else 'verdict'
    rows = [
        row([rule.name, f'{rule.recall:.4f}', f'{rule.ndcg:.4f}', str(rule.unexplained_hits)])
        for rule in card.id_leak.rules
    ]
    head = ['Rule on ids alone', f'Recall@{K}', f'NDCG@{K}', 'Hits that training does not explain']
    note = (
        f"The leak detector on the source's own ids of items, on {grouped(card.id_leak_users)} users of "
        f'{grouped(card.splits["test"]["cases"])} with a test target.'
    )
    return section(
        'Do ids follow an order?',
        'ids',
        tag('p', str(card.id_leak), class_=warned),
        tag('p', note, class_='note'),
        table(head, rows),
    )


def _left_out(card: DataCard) -> Markup:
    counted = card.left_out
    return section('Read and left out', 'left-out', facts(counted)) if counted else Markup('')


def _sample(card: DataCard) -> Markup:
    rows = [
        row(
            [
                entry['user'],
                entry['item'],
                entry['title'] or '–',
                ', '.join(entry['categories']) or '–',
                _moment(entry['time']),
                readable(entry['rating']),
            ]
        )
        for entry in card.sample
    ]
    head = ['User', 'Item', 'Title', 'Categories', 'Time', 'Rating']
    return section('A sample of rows', 'sample', table(head, rows))


def _quantile_table(quantiles: Mapping[str, float], what: str) -> Markup:
    names = {'0': 'least', '50': 'median', '100': 'most'}
    head = [what, *(names.get(one, f'{one} %') for one in quantiles)]
    return table(head, [row(['', *(grouped(value) for value in quantiles.values())])])


def _bars(bars: Sequence[Mapping[str, Any]], unit: str, what: str) -> Markup:
    most = max((bar['count'] for bar in bars), default=1) or 1
    rows = [row([_range(bar), _bar(bar['count'] / most), grouped(bar['count'])]) for bar in bars]
    return table([unit, '', what], rows)


def _range(bar: Mapping[str, int]) -> str:
    first, last = bar['from'], bar['to']
    return grouped(first) if first == last else f'{grouped(first)}–{grouped(last)}'


def _bar(share: float) -> Markup:
    return tag('div', tag('div', tag('i', style=f'width:{100 * share:.1f}%'), class_='bar'), class_='barcell')


def _percent(share: float) -> str:
    return f'{100 * share:.2g}\u00a0%' if 0 < share < 0.01 else f'{100 * share:.1f}\u00a0%'


def _day(second: int) -> str:
    return _moment(second).partition(' ')[0]


def _moment(second: int) -> str:
    if second < _LEAST_CLOCK:
        return str(second)
    try:
        return f'{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}'
    except (ValueError, OverflowError, OSError):
        return str(second)
