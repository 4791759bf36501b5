import functools
import re

import numpy as np
import pytest

from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.splits import RankingCases, Sequences, leave_last_out
from llmrec_jax.evaluation.id_leak import id_leak, natural_key
from llmrec_jax.evaluation.report.leaks import Leaks
from llmrec_jax.prompts.naming.numbers import RandomNumbers, SequentialNumbers, TrainingNumbers
from llmrec_jax.prompts.naming.titles import TitleNames
from tests.prompts.corpora import corpus_of
from tests.shared_data import shared_data

LARGEST = 'largest so far + 1, 2 ...'


def _sequences(rows: list[list[int]]) -> Sequences:
    return Sequences(
        np.concatenate([np.asarray(row, np.int64) for row in rows]), np.cumsum([0, *map(len, rows)])
    )


def _rule(names, histories, targets, name, train=((0,),)):
    cases = RankingCases(np.arange(len(targets)), _sequences(histories), np.asarray(targets))
    found = id_leak(names, _sequences([list(row) for row in train]), cases)
    return next(rule for rule in found.rules if rule.name == name)


@pytest.mark.parametrize(
    ('rule', 'target', 'rank'),
    [
        (LARGEST, 8, 1),
        (LARGEST, 12, 5),
        (LARGEST, 13, None),
        (LARGEST, 6, None),
        (LARGEST, 5, None),
        ('last + 1, 2 ...', 6, 1),
        ('last + 1, 2 ...', 8, 2),
        ('last - 1, 2 ...', 3, 1),
        ('last - 1, 2 ...', 1, 2),
        ('smallest so far - 1, 2 ...', 1, 1),
    ],
)
def test_a_rule_counts_on_from_its_item_and_leaves_the_history_out(rule, target, rank):
    # Of the history 7, 2, 5, 4 the largest is 7, the last 4, the smallest 2.
    names = [f'item_{number}' for number in range(20)]
    found = _rule(names, [[7, 2, 5, 4]], [target], rule)
    assert found.recall == (rank is not None)
    assert found.ndcg == pytest.approx(0 if rank is None else 1 / np.log2(1 + rank))


def test_numbers_are_ordered_as_numbers_and_the_rest_as_text():
    names = ['A', 'item_9', 'item_9_2', 'item_9_10', 'item_10', 'item_100', 'items']
    assert sorted(reversed(names), key=natural_key) == names


def _uniform_purchases(users: int, items: int) -> list[list[int]]:
    """What comes next is uniform random, so nothing but the names can tell it."""
    rng = np.random.default_rng(0)
    return [rng.permutation(items)[:6].tolist() for _ in range(users)]


def test_numbers_in_order_of_appearance_leak_where_purchases_are_random_and_the_others_do_not():
    corpus = corpus_of(_uniform_purchases(500, 1500), [f'title {row}' for row in range(1500)])
    splits = leave_last_out(corpus)
    found = {
        type(scheme).__name__: id_leak(scheme.item_names(corpus, splits.train), splits.train, splits.test)
        for scheme in (SequentialNumbers(), TrainingNumbers(), RandomNumbers())
    }
    assert {name: leak.leaks for name, leak in found.items()} == {
        'SequentialNumbers': True, 'TrainingNumbers': False, 'RandomNumbers': False,
    }  # fmt: skip
    assert found['SequentialNumbers'].rules[0].recall > 20 * found['SequentialNumbers'].chance
    assert str(found['SequentialNumbers']).startswith('the names leak held-out events (p = ')
    assert str(found['RandomNumbers']).startswith('no sign that the names leak (p = ')


@pytest.mark.parametrize(
    ('names', 'cases', 'message'),
    [
        (['a', 'a'], ([[0]], [1]), 'no two are alike'),
        (['a', 'b'], ([[]], [1]), 'each with a history'),
    ],
)
def test_what_cannot_be_played_on_is_refused(names, cases, message):
    histories, targets = cases
    with pytest.raises(ValueError, match=message):
        _rule(names, histories, targets, LARGEST)


@pytest.fixture(scope='module')
def found_on_beauty():
    """What the detector finds, by naming scheme; each scheme is looked at once."""
    directory = shared_data('amazon-beauty')
    corpus = SequenceFiles(directory=str(directory), relabel_seed=None).build()
    splits = leave_last_out(corpus)
    assert SequentialNumbers().item_names(corpus, splits.train)[:3] == ['item_1', 'item_2', 'item_3']
    return functools.cache(
        lambda scheme: id_leak(scheme.item_names(corpus, splits.train), splits.train, splits.test)
    )


@pytest.mark.slow
def test_on_beauty_the_published_ids_leak_and_relabelled_ones_do_not(found_on_beauty):
    published = found_on_beauty(SequentialNumbers())
    best = published.rules[0]
    assert published.leaks and best.name == LARGEST
    assert 0.042 <= best.ndcg <= 0.045
    assert best.ndcg / best.recall > 0.98
    relabelled = found_on_beauty(RandomNumbers())
    assert not relabelled.leaks and relabelled.rules[0].ndcg < 0.001
    assert not found_on_beauty(TrainingNumbers()).leaks
    # Titles beat chance, as content may, and the same ahead as behind.
    titles = found_on_beauty(TitleNames())
    assert not titles.leaks and titles.rules[0].ndcg > 0.01


@pytest.mark.slow
def test_on_beauty_the_report_shows_the_leak_of_the_published_ids_and_none_after_relabelling(
    found_on_beauty,
):
    def reported(scheme):
        leaks = Leaks(
            type(scheme).__name__, scheme.leaks, found_on_beauty(scheme), 0.0, 0.0, 'leave_last_out'
        )
        (row,) = re.findall(rf'^\| {re.escape(LARGEST)} +\|(.*)\|$', leaks.text(), re.MULTILINE)
        return leaks.text(), [float(cell) for cell in row.split('|')]

    text, (_, ndcg, unexplained) = reported(SequentialNumbers())
    assert 0.042 <= ndcg <= 0.045 and unexplained > 0
    assert 'The leak detector: the names leak held-out events' in text
    text, (_, ndcg, _) = reported(RandomNumbers())
    assert ndcg < 0.001
    assert 'The leak detector: no sign that the names leak' in text
