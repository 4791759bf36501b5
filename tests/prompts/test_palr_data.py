"""PALR's prompts: what training shows and never shows, and that NumPy and TensorFlow write them alike."""

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.drawn_splits import ByUser, FewShot, RandomEvents
from llmrec_jax.corpora.split_rules import GlobalTemporal, UserTemporal, split_by
from llmrec_jax.corpora.splits import TRAIN, leave_last_out
from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.naming.numbers import RandomNumbers
from llmrec_jax.prompts.naming.titles import ListedTitles
from llmrec_jax.prompts.palr.data import Palr, PalrData
from llmrec_jax.prompts.palr.windows import WindowSettings, nearest_items, training_windows
from llmrec_jax.prompts.records.words import tables_for
from llmrec_jax.prompts.tf_prompts import TENSORFLOW, prompt_examples, records_dataset
from tests.evaluation.ranking_cases import sequences
from tests.prompts.corpora import corpus_of

N_ITEMS, N_USERS, CANDIDATES = 60, 16, 12
WINDOWS = WindowSettings(max_history=4, targets=3, per_user=3, user_share=1.0)
PALR = Palr(windows=WINDOWS, candidates=CANDIDATES, wanted=3, pool=10, validation_users=5)


@pytest.fixture(scope='module')
def corpus() -> Corpus:
    """Items of six categories; histories of seven items."""
    rng = np.random.default_rng(0)
    histories = [rng.permutation(N_ITEMS)[:7].tolist() for _ in range(N_USERS)]
    made = corpus_of(histories, [f'Title {row}' for row in range(N_ITEMS)])
    categories = [('root', f'leaf {row % 6}') for row in range(N_ITEMS)]
    return dataclasses.replace(made, items=dataclasses.replace(made.items, categories=categories))


@pytest.fixture(scope='module')
def data(corpus) -> PalrData:
    retrieved = np.stack([np.random.default_rng(user).permutation(N_ITEMS)[:5] for user in range(N_USERS)])
    retrieved[3, 4] = -1
    keywords = [('jazz', 'kettles') if user % 2 else () for user in range(N_USERS)]
    return PALR.build(corpus, keywords, np.arange(N_USERS), retrieved, seed=1)


def plain(data: PalrData, group: str, epoch: int = 0) -> list[dict]:
    tables = tables_for(NUMPY, data.tables)
    records = data.training_records['train'][group]
    return list(data.training_groups[group].examples(records, tables, seed=3, epoch=epoch))


# The instruction without candidates is filled by a part of what fills these.
@pytest.mark.parametrize('kind', ['training', 'evaluation'])
def test_numpy_and_tensorflow_write_the_same(data, kind):
    group = 'recommend_retrieval'
    groups = getattr(data, f'{kind}_groups')
    records = data.training_records['train'] if kind == 'training' else data.evaluation_records
    records = records[group].take(np.arange(6))
    expected = list(groups[group].examples(records, tables_for(NUMPY, data.tables), seed=3))
    written = prompt_examples(
        records_dataset(records), groups[group], tables_for(TENSORFLOW, data.tables), seed=3
    )
    for one, other in zip(expected, written.as_numpy_iterator(), strict=True):
        for name, value in one.items():
            if isinstance(value, str):
                assert tf.compat.as_text(other[name]) == value
            else:
                np.testing.assert_array_equal(other[name], value)


def test_a_prompt_reads_as_the_paper_has_it(data):
    example = plain(data, 'recommend_retrieval')[-1]
    record = data.training_records['train']['recommend_retrieval'][len(plain(data, 'recommend')) - 1]
    history = ' | '.join(f'Title {item}' for item in record['history'])
    shown = ' | '.join(f'Title {item}' for item in example['candidates'])
    assert example['inputs'] == (
        'Recommend 3 of the candidates based on the history. The user likes jazz, kettles. '
        f'History: {history}. Candidates: {shown}.'
    )
    assert example['targets'] == ', '.join(f'"Title {item}"' for item in record['targets'])


def test_candidates_hold_all_targets_hard_negatives_and_nothing_that_training_knows_the_user_had(
    data, corpus
):
    train = leave_last_out(corpus).train
    together = collections.defaultdict(set)
    for user in range(N_USERS):
        for item in train[user].tolist():
            together[item].update(train[user].tolist())
    records = data.training_records['train']['recommend_retrieval']
    for record, example in zip(records, plain(data, 'recommend_retrieval'), strict=True):
        shown, targets = example['candidates'].tolist(), record['targets'].tolist()
        assert len(set(shown)) == len(shown) == CANDIDATES
        assert set(targets) <= set(shown)
        others = set(shown) - set(targets)
        assert not others & set(train[int(record['user'])].tolist())
        hard = {
            item
            for item in others
            if any(item % 6 == target % 6 or item in together[target] for target in targets)
        }
        assert len(hard) >= len(others) // 2
        assert set(record['hard'].tolist()) & others <= hard


def test_order_and_negatives_are_drawn_anew_each_epoch_and_places_are_uniform(data):
    places = []
    for epoch in range(4):
        for record, example in zip(
            data.training_records['train']['recommend_retrieval'],
            plain(data, 'recommend_retrieval', epoch),
            strict=True,
        ):
            places.append(example['candidates'].tolist().index(record['targets'][0]))
    counts = np.bincount(places, minlength=CANDIDATES)
    assert stats.chisquare(counts).pvalue > 0.001
    first, second = plain(data, 'recommend_retrieval', 0)[0], plain(data, 'recommend_retrieval', 1)[0]
    assert set(first['candidates'].tolist()) != set(second['candidates'].tolist())


def test_training_never_shows_what_is_held_out_as_history_or_target(data, corpus):
    splits = leave_last_out(corpus)
    for record in data.training_records['train']['recommend']:
        window = [*record['history'].tolist(), *record['targets'].tolist()]
        items = splits.train[int(record['user'])].tolist()
        start = items.index(window[0])
        assert window == items[start : start + len(window)]
        assert 1 <= len(record['history']) <= 4
        assert 1 <= len(record['targets']) <= 3
    validation = data.training_records['validation']['recommend']
    held_out = dict(zip(splits.validation.user.tolist(), splits.validation.target.tolist()))
    assert len(validation) == 5
    for record in validation:
        assert record['targets'].tolist() == [held_out[record['user']]]


def test_test_prompts_show_the_retrievers_candidates_in_another_order(data, corpus):
    test = leave_last_out(corpus).test
    records = data.evaluation_records['recommend_retrieval']
    retrieved = [np.random.default_rng(user).permutation(N_ITEMS)[:5].tolist() for user in range(N_USERS)]
    retrieved[3].pop()
    shown = [record['candidates'].tolist() for record in records]
    assert [sorted(row) for row in shown] == [sorted(row) for row in retrieved]
    assert shown != retrieved
    for user, record in enumerate(records):
        assert record['history'].tolist() == test.histories[user][-4:].tolist()
        assert record['targets'].tolist() == [test.target[user]]


def test_drawn_candidates_hold_what_came_next_and_nothing_else_that_is_known_of_the_user(data, corpus):
    splits = leave_last_out(corpus)
    records, group = data.evaluation_records['recommend_drawn'], data.evaluation_groups['recommend_drawn']
    assert group == data.training_groups['recommend_retrieval']
    examples = group.examples(records, tables_for(NUMPY, data.tables), seed=3)
    for row, (record, example) in enumerate(zip(records, examples, strict=True)):
        shown = example['candidates'].tolist()
        target = int(splits.test.target[row])
        assert len(set(shown)) == len(shown) == CANDIDATES
        assert record['targets'].tolist() == [example['item']] == [target]
        assert not (set(shown) - {target}) & set(splits.train[row].tolist())


def test_a_share_of_the_users_is_trained_on_and_windows_are_drawn():
    train = sequences([list(range(8))] * 10)
    few = training_windows(train, 8, WindowSettings(user_share=0.3, per_user=2), seed=0)
    assert len(set(few.user.tolist())) == 3
    assert len(few.user) == 6
    every = training_windows(train, 8, WindowSettings(user_share=1.0, per_user=99), seed=0)
    assert len(every.user) == 10 * 7


def test_items_of_like_users_lengthen_short_histories():
    # User 0 shares item 1 with users 1 and 2, of whom user 2 has had more besides.
    train = sequences([[0, 1], [1, 2], [1, 3, 4, 5], [6, 7]])
    nearest = nearest_items(train, [0, 3], 8, 2)
    assert nearest[0].tolist() == [2, 3]
    assert nearest[1].tolist() == []
    settings = WindowSettings(user_share=1.0, per_user=9, lengthen_to=4)
    windows = training_windows(train, 8, settings, seed=0)
    of_first = {
        tuple(windows.history[row].tolist()): windows.targets[row].tolist()
        for row in np.flatnonzero(windows.user == 0).tolist()
    }
    assert of_first == {(0,): [1, 2, 3], (0, 1): [2, 3]}


def test_names_can_be_listed_and_told_apart(corpus):
    titles = ['Rug "deluxe"', 'Rug "deluxe"', 'A | B', 'ｗｉｄｅ', *map(str, range(N_ITEMS - 4))]
    odd = dataclasses.replace(corpus, items=dataclasses.replace(corpus.items, title=titles))
    names = ListedTitles().item_names(odd, leave_last_out(odd).train)
    assert names[:4] == ["Rug 'deluxe'", "Rug 'deluxe' (2)", 'A / B', 'wide']


@pytest.mark.parametrize(
    ('palr', 'keywords', 'asked', 'message'),
    [
        (PALR, 3, [0], 'keywords of 3 of 16 users'),
        (PALR, 16, [99], 'user 99 has candidates but no test case'),
        (dataclasses.replace(PALR, candidates=55), 16, [0], 'leaves too few for 55 candidates'),
    ],
)
def test_what_cannot_be_built_is_told(corpus, palr, keywords, asked, message):
    with pytest.raises(ValueError, match=message):
        palr.build(corpus, [()] * keywords, np.asarray(asked), np.ones((1, 5), np.int64), seed=0)


def test_bad_settings_are_told(corpus):
    with pytest.raises(ValueError, match='Palr.candidates=3 must be more than'):
        dataclasses.replace(PALR, candidates=3)
    with pytest.raises(ValueError, match=r'user_share=1.5 must lie in'):
        WindowSettings(user_share=1.5)
    with pytest.raises(ValueError, match=r'hard_share=2 of the negatives'):
        dataclasses.replace(PALR, hard_share=2).build(
            corpus, [()] * N_USERS, np.array([0]), np.ones((1, 5), np.int64), seed=0
        )


def test_items_can_be_called_by_numbers(corpus):
    data = dataclasses.replace(PALR, item_naming=RandomNumbers()).build(
        corpus, [()] * N_USERS, np.array([2]), np.array([[4, 5, 6]]), seed=0
    )
    assert len(set(data.tables['item'])) == N_ITEMS


@pytest.mark.parametrize(
    'split',
    [
        GlobalTemporal(0.5, 0.75),
        UserTemporal(0.2, 0.3),
        ByUser(0.2, 0.2),
        RandomEvents(0.1, 0.1),
        FewShot(share=0.5),
    ],
    ids=lambda split: split.name,
)
def test_no_prompt_learns_from_what_a_split_holds_out(corpus, split):
    splits = split_by(split, corpus)
    asked = splits.test.user
    retrieved = np.tile(np.arange(5), (len(asked), 1))
    found = PALR.build(corpus, [()] * N_USERS, asked, retrieved, seed=1, split=split)
    kept = split.cut(corpus).roles == TRAIN
    events = corpus.events
    learned = set(zip(events.user[kept].tolist(), events.item[kept].tolist()))
    for record in found.training_records['train']['recommend']:
        for item in (*record['history'], *record['targets']):
            assert (int(record['user']), int(item)) in learned
    tests = found.evaluation_records['recommend']
    assert tests.columns['user'].tolist() == asked.tolist()
    assert [row['targets'].tolist() for row in tests] == [[target] for target in splits.test.target.tolist()]
