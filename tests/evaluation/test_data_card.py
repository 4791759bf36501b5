"""The data card's numbers, counted by hand, and its page."""

import json
import re

import numpy as np
import pytest

from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users
from llmrec_jax.evaluation.data_card.card import data_card
from llmrec_jax.evaluation.data_card.findings import findings
from llmrec_jax.evaluation.data_card.page import GIN, HTML, JSON, write_card

GIN_LINES = 'CORPUS = @source.Tables()\n'


def corpus(histories, times=None, titles=None, **provenance):
    """Users with these items; an item is known by its row."""
    n_items = max(max(history) for history in histories) + 1
    lengths = [len(history) for history in histories]
    titles = titles or [f'Thing {item}' for item in range(n_items)]
    total = sum(lengths)
    return Corpus(
        'tables/shop',
        Items(
            [f'i{item}' for item in range(n_items)],
            titles,
            [''] * n_items,
            [('A', 'B') if item % 2 else () for item in range(n_items)],
            [''] * n_items,
            np.full(n_items, np.nan),
        ),
        Users([f'u{user}' for user in range(len(histories))], [''] * len(histories)),
        Events(
            np.repeat(np.arange(len(histories)), lengths),
            np.concatenate(histories),
            np.concatenate(times or [1_600_000_000 + np.arange(length) for length in lengths]),
            np.full(total, np.nan),
            [''] * total,
            [''] * total,
        ),
        {'source': 'tables', **provenance},
    )


SHOP = corpus(
    [[0, 1, 2, 0], [1, 0, 3], [0, 4]], times=[[5, 5, 7, 9], [1, 2, 3], [4, 4]], titles=['A', 'A', '', '', '']
)


def test_sizes_histories_and_popularity_are_counted():
    card = data_card(SHOP, GIN_LINES)
    assert card.sizes == {'users': 3, 'items': 5, 'events': 9, 'density': 0.6}
    assert card.histories['mean'] == 3
    assert card.histories['quantiles']['50'] == 3
    assert card.histories['users_with_fewer_than_three_events'] == 1
    assert [bar['count'] for bar in card.histories['histogram']] == [0, 1, 2]
    # Items have 4, 2, 1, 1 and 1 events.
    assert card.popularity['gini'] == pytest.approx((2 * (1 * 1 + 2 * 1 + 3 * 1 + 4 * 2 + 5 * 4) / 9 - 6) / 5)
    assert card.popularity['curve'][20] == pytest.approx(4 / 9)
    assert card.popularity['curve'][-1] == 1
    assert card.popularity['share_of_top_percent']['10'] == pytest.approx(2 / 9)


def test_ties_and_repeats_are_counted():
    times = data_card(SHOP, GIN_LINES).times
    assert times['tied_events_share'] == pytest.approx(4 / 9)
    assert times['repeated_items_share'] == pytest.approx(1 / 8)
    finer = corpus([[0, 1, 2]], times=[[1, 1, 1]], tied_events_share=0.0)
    assert data_card(finer, GIN_LINES).times['tied_events_share'] == 0


def test_items_without_text_are_counted_and_called():
    texts = data_card(SHOP, GIN_LINES).texts
    # Odd items have categories.
    assert texts['items_without_text'] == 2
    assert texts['for_example'] == ['i2', 'i4']
    assert texts['items_that_share_a_title'] == 1
    assert texts['share_with'] == {'title': 0.4, 'brand': 0, 'categories': 0.4, 'description': 0, 'price': 0}


def test_targets_that_training_never_saw_are_cold():
    splits = data_card(SHOP, GIN_LINES).splits
    # Training has 0 1 | 1 | 0 4; the test targets are 0 and 3, those of validation 2 and 0.
    assert splits['train'] == {'events': 5, 'items': 3}
    assert splits['test'] == {'cases': 2, 'items': 2, 'cold_targets': 1, 'cold_share': 0.5}
    assert splits['validation']['cold_share'] == 0.5


def runs_of_ids(users=90):
    """Every user walks up the catalogue, and no two users meet an item: P5's leak."""
    return corpus([list(range(6 * user, 6 * user + 6)) for user in range(users)])


def test_ids_that_follow_an_order_are_told():
    leaking = data_card(runs_of_ids(), GIN_LINES)
    assert leaking.id_leak.leaks
    assert 'ids of the items run with time' in ' '.join(findings(leaking))
    rng = np.random.default_rng(0)
    honest = data_card(corpus([rng.permutation(40)[:6].tolist() for _ in range(60)]), GIN_LINES)
    assert not honest.id_leak.leaks


def test_the_detector_looks_at_users_that_it_draws_where_there_are_many(monkeypatch):
    from llmrec_jax.evaluation.data_card import card as module

    monkeypatch.setattr(module, '_CASES', 50)
    card = data_card(runs_of_ids(), GIN_LINES)
    assert card.id_leak_users == 50
    assert card.id_leak.leaks


def test_a_corpus_of_short_histories_has_a_card():
    card = data_card(corpus([[0, 1], [1, 0]]), GIN_LINES)
    assert card.id_leak is None
    assert card.splits['test']['cases'] == 0


def test_the_page_and_the_numbers_are_written(tmp_path):
    titles = ['<b>bold</b> & co', *['x'] * 4]
    card = data_card(corpus([[0, 1, 2, 0], [1, 0, 3], [0, 4]], titles=titles), GIN_LINES)
    write_card(card, tmp_path / 'card')
    page = (tmp_path / 'card' / HTML).read_text()
    record = json.loads((tmp_path / 'card' / JSON).read_text())
    assert record['sizes']['events'] == 9
    assert record['gin'] == (tmp_path / 'card' / GIN).read_text() == GIN_LINES
    assert record['id_leak']['verdict'] in page.replace('&quot;', '"')
    assert '&lt;b&gt;bold' in page
    assert not re.search(r'(src|href)="?http|<script|<link', page)
    assert len(record['sample']) == 9


def test_what_the_source_counts_is_shown(tmp_path):
    card = data_card(corpus([[0, 1, 2]], duplicates=17, scraps_removed=3, k_core=5), GIN_LINES)
    write_card(card, tmp_path)
    assert json.loads((tmp_path / JSON).read_text())['left_out'] == {'duplicates': 17, 'scraps_removed': 3}
    assert '<dt>duplicates</dt><dd>17</dd>' in (tmp_path / HTML).read_text()


def test_the_order_of_ties_is_said():
    tied = {'times': [[5, 5, 5]], 'ties': 'file_order'}
    assert "ties='file_order'" in findings(data_card(corpus([[0, 1, 2]], **tied), GIN_LINES))[0]
    said = findings(data_card(corpus([[0, 1, 2]], **tied, ties_listed_by_id=True), GIN_LINES))[0]
    assert 'were shuffled' in said


def test_what_needs_a_decision_is_said():
    said = ' '.join(findings(data_card(SHOP, GIN_LINES)))
    for words in ('44.4', 'fewer than three', '50.0', '2 of 5 items have no text'):
        assert words in said
    rng = np.random.default_rng(0)
    assert findings(data_card(corpus([rng.permutation(20).tolist() for _ in range(40)]), GIN_LINES)) == []
