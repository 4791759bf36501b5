import dataclasses

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.drawn_splits import random_roles
from llmrec_jax.corpora.split_rules import LeaveLastOut
from llmrec_jax.corpora.splits import Sequences, leave_last_out
from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.p5.groups import P5Prompts
from llmrec_jax.prompts.rating_scale import RatingScale
from llmrec_jax.prompts.records import event_roles, histories, reviews
from llmrec_jax.prompts.records.record_table import Records, take_rows
from llmrec_jax.prompts.records.reviews import FeatureWords
from llmrec_jax.prompts.records.words import absent_fields, tables_for, word_tables
from tests.prompts.corpora import corpus_of

_TITLES = [f'title {row}' for row in range(20)]
_histories = st.lists(
    st.lists(st.integers(0, 19), min_size=1, max_size=9, unique=True), min_size=1, max_size=10
)


@hypothesis.given(_histories)
@hypothesis.settings(max_examples=30)
def test_the_roles_of_events_are_those_of_the_split_that_ranks(rows):
    corpus = corpus_of(rows, _TITLES)
    splits = leave_last_out(corpus)
    roles = LeaveLastOut().cut(corpus).roles
    events = corpus.events
    np.testing.assert_array_equal(events.item[roles == event_roles.TRAIN], splits.train.values)
    for role, cases in ((event_roles.VALIDATION, splits.validation), (event_roles.TEST, splits.test)):
        np.testing.assert_array_equal(events.user[roles == role], cases.user)
        np.testing.assert_array_equal(events.item[roles == role], cases.target)
    assert event_roles.overlap(roles, roles) == event_roles.Overlap(0.0, 0.0)


def _random_histories(users: int, length: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.permutation(20)[:length].tolist() for _ in range(users)]


def test_the_random_split_keeps_each_user_and_item_in_training_and_shows_most_of_what_ranking_holds_out():
    corpus = corpus_of(_random_histories(300, 8), _TITLES)
    roles = random_roles(corpus, seed=0)
    counts = np.bincount(roles) / len(roles)
    np.testing.assert_allclose(counts, [0.8, 0.1, 0.1], atol=0.001)
    training = roles == event_roles.TRAIN
    assert set(corpus.events.user[training]) == set(range(300))
    assert set(corpus.events.item[training]) == set(range(20))
    shown = event_roles.overlap(LeaveLastOut().cut(corpus).roles, roles)
    assert shown.test == pytest.approx(0.8, abs=0.08)
    assert shown.validation == pytest.approx(0.8, abs=0.08)
    assert not np.array_equal(roles, random_roles(corpus, seed=1))


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(ValueError, match='leave nothing to train on'):
        random_roles(corpus_of([[0]], _TITLES), 0, validation=0.6, test=0.4)


def test_records_need_columns_of_one_length():
    with pytest.raises(ValueError, match="lengths {'user': 2, 'item': 1}"):
        Records({'user': np.arange(2), 'item': np.arange(1)})
    with pytest.raises(IndexError, match='there are 2 records, none has the number 2'):
        Records({'user': np.arange(2)})[2]


@hypothesis.given(_histories, st.data())
@hypothesis.settings(max_examples=20)
def test_rows_are_taken_in_the_order_asked_for(rows, data):
    sequences = Sequences(np.concatenate([np.asarray(row) for row in rows]), np.cumsum([0, *map(len, rows)]))
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    taken = take_rows(sequences, np.asarray(chosen, np.int64))
    assert [taken[row].tolist() for row in range(len(taken))] == [rows[row] for row in chosen]


@hypothesis.given(st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=6))
@hypothesis.settings(max_examples=20)
def test_the_items_that_are_no_negatives_are_those_of_the_row_ascending_and_once(rows):
    values = np.asarray([item for row in rows for item in row], np.int64)
    distinct = histories.distinct_items(Sequences(values, np.cumsum([0, *map(len, rows)])))
    assert [distinct[row].tolist() for row in range(len(rows))] == [sorted(set(row)) for row in rows]


def _sequential_example(records, **numbers):
    group = P5Prompts(candidates=5).groups(training=True)['sequential_candidates']
    corpus = corpus_of([[0]] * 40, _TITLES)
    tables = word_tables(corpus, [f'i{row}' for row in range(20)], [f'u{row}' for row in range(40)])
    return group.example(records[0], tables_for(NUMPY, tables), seed=0, **numbers)


def test_training_windows_end_in_the_last_three_items_and_begin_in_the_first_three():
    history = list(range(10, 18))
    corpus = corpus_of([[*history, 18, 19]], _TITLES)
    splits = leave_last_out(corpus)
    own = histories.distinct_items(Sequences(corpus.events.item, corpus.user_offsets))
    records = histories.sequential_training(splits.train, own, 3)
    seen = set()
    for repetition in range(120):
        example = _sequential_example(records, repetition=repetition)
        target, shown = int(example['item']), example['history'].tolist()
        seen.add((shown[0], target))
        assert shown == list(range(shown[0], target))
        assert target in example['candidates'] and len(set(example['candidates'].tolist())) == 5
        assert set(example['candidates'].tolist()) - {target} <= set(range(10))
        assert example['targets'] == f'i{target}'
    assert seen == {(start, target) for start in (10, 11, 12) for target in (15, 16, 17)}


@pytest.mark.parametrize(
    ('history', 'windows'),
    [
        ([5, 6, 0, 1], {(5, 6)}),
        ([5, 6, 7, 0, 1], {(5, 7)}),
        ([5, 6, 7, 8, 0, 1], {(5, 7), (5, 8), (6, 8)}),
    ],
)
def test_short_histories_show_two_items_where_there_are_two(history, windows):
    corpus = corpus_of([history], _TITLES)
    splits = leave_last_out(corpus)
    records = histories.sequential_training(splits.train, histories.distinct_items(splits.train), 3)
    examples = [_sequential_example(records, repetition=repetition) for repetition in range(40)]
    assert {(int(row['history'][0]), int(row['item'])) for row in examples} == windows


def test_any_item_but_the_first_two_is_a_target_where_all_may_be():
    splits = leave_last_out(corpus_of([[5, 6, 7, 8, 9, 0, 1]], _TITLES))
    records = histories.sequential_training(splits.train, histories.distinct_items(splits.train), 100)
    examples = [_sequential_example(records, repetition=repetition) for repetition in range(60)]
    assert {int(row['item']) for row in examples} == {7, 8, 9}


def test_an_evaluation_case_shows_the_newest_of_the_whole_history_and_asks_for_the_target():
    corpus = corpus_of([[3, 1, 4, 5, 9, 2]], _TITLES)
    splits = leave_last_out(corpus)
    own = histories.distinct_items(Sequences(corpus.events.item, corpus.user_offsets))
    for cases, shown, target in ((splits.validation, [3, 1, 4, 5], 9), (splits.test, [3, 1, 4, 5, 9], 2)):
        example = _sequential_example(histories.sequential_cases(cases, own))
        assert example['history'].tolist() == shown and example['item'] == target
    short = P5Prompts(max_history=2).groups(training=False)['sequential_next_item']
    tables = {
        name: NUMPY.texts([f'{name}{row}' for row in range(20)]) for name in ('item', 'user', 'user_name')
    }
    example = short.example(histories.sequential_cases(splits.test, own)[0], tables, seed=0)
    assert example['history'].tolist() == [5, 9]


def test_users_without_enough_items_give_no_record():
    corpus = corpus_of([[1, 2, 3], [4], [5, 6, 7, 8]], _TITLES)
    train = leave_last_out(corpus).train
    own = histories.distinct_items(train)
    assert histories.sequential_training(train, own, 3).columns['user'].tolist() == [2]
    assert histories.direct_training(train, own).columns['user'].tolist() == [0, 1, 2]


def test_each_candidate_is_asked_about_in_the_order_in_which_they_are_shown():
    corpus = corpus_of([[3, 1, 4, 5], [9, 2, 6, 7]], _TITLES)
    splits = leave_last_out(corpus)
    own = histories.distinct_items(Sequences(corpus.events.item, corpus.user_offsets))
    cases = histories.direct_cases(splits.test, own)
    asked = histories.asked_candidates(cases, 20, candidates=6, seed=4)
    group = P5Prompts(candidates=6).groups(training=False)['direct_candidates']
    tables = {
        name: NUMPY.texts([f'{name}{row}' for row in range(20)]) for name in ('item', 'user', 'user_name')
    }
    for row, target in enumerate((5, 7)):
        shown = group.example(cases[row], tables, seed=4)['candidates']
        block = slice(6 * row, 6 * row + 6)
        np.testing.assert_array_equal(asked.columns['item'][block], shown)
        np.testing.assert_array_equal(asked.columns['answer'][block], shown == target)
        assert set(asked.columns['user'][block]) == {row}


REVIEWS = [
    'The sound of this guitar is warm. It came late.',
    'Warm sound. Strings break!',
    '',
    'Strings are strings.',
    'The sound is thin. I bought strings.',
]


# The items that they are about.
REVIEWED = [0, 1, 0, 1, 2]


def test_an_explanation_is_the_shortest_sentence_with_the_word_that_describes_the_item_or_is_most_bound():
    words = FeatureWords.fit(zip(REVIEWED, REVIEWS), fewest_reviews=2, largest_share=0.7)
    assert dict(words.boundness) == {'sound': 0.0, 'warm': 0.0, 'strings': pytest.approx(1 / 3)}
    assert words.explain(REVIEWS[1], 'a warm guitar') == ('Warm sound.', 'warm')
    assert words.explain(REVIEWS[4], 'a guitar') == ('I bought strings.', 'strings')
    assert words.explain('It came late.', 'a guitar') is None
    assert words.explain('', 'a guitar') is None


def test_a_word_of_too_many_reviews_or_too_few_is_no_feature():
    words = FeatureWords.fit(zip(REVIEWED, REVIEWS), fewest_reviews=3, largest_share=0.5)
    assert not words.boundness
    long = FeatureWords.fit(zip(REVIEWED, REVIEWS), fewest_reviews=2, largest_share=0.7, max_words=2)
    assert long.explain(REVIEWS[0], '') is None


def test_an_empty_review_gives_no_record_and_is_counted_in_one_message(caplog):
    corpus = corpus_of([[0, 1, 2], [3, 4]], _TITLES, reviews=REVIEWS)
    records = reviews.reviewed(corpus, RatingScale(), max_characters=10)
    assert records.columns['event'].tolist() == [0, 1, 3, 4]
    assert 'test/corpus: 1 of 5 rated events have an empty review or headline' in caplog.text
    assert records.columns['review'][0] == 'The sound'
    assert 'reviews: 4 of 4 are longer than 10 characters and are cut there' in caplog.text
    assert 'the longest, that of event 0, has 47' in caplog.text


def test_unrated_events_give_no_record():
    corpus = corpus_of([[0, 1, 2], [3, 4]], _TITLES, reviews=REVIEWS, stars=[5, np.nan, 4, 3, np.nan])
    assert reviews.rated(corpus, RatingScale()).columns['event'].tolist() == [0, 2, 3]
    words = FeatureWords.fit(zip(REVIEWED, REVIEWS), fewest_reviews=2, largest_share=0.7)
    records = reviews.explained(corpus, RatingScale(), words)
    assert records.columns['event'].tolist() == [0, 3]


def with_users(corpus: Corpus, user_id: list[str]) -> Corpus:
    return dataclasses.replace(corpus, users=dataclasses.replace(corpus.users, user_id=user_id))


def test_transfer_keeps_the_users_of_both_corpora_under_the_rows_of_the_source():
    source = corpus_of([[0], [1], [2]], _TITLES)
    target = with_users(corpus_of([[5, 6], [7]], _TITLES), ['U2', 'stranger'])
    table = reviews.transfer(reviews.rated(target, RatingScale()), target, source)
    assert table.columns['user'].tolist() == [2, 2] and table.columns['item'].tolist() == [5, 6]
    target = with_users(target, ['a', 'b'])
    with pytest.raises(ValueError, match='share no user'):
        reviews.transfer(reviews.rated(target, RatingScale()), target, source)


def test_words_say_what_is_unknown_and_long_titles_are_cut_with_one_message(caplog):
    corpus = corpus_of([[0, 1, 2]], ['x' * 10_000, ' two\nlines ', ''], profiles=['a  woman'])
    items = dataclasses.replace(
        corpus.items, brand=['', 'brand 1', 'brand 2'], price=np.array([0.0, np.nan, 2.0])
    )
    corpus = dataclasses.replace(corpus, items=items)
    tables = word_tables(corpus, ['a', 'b', 'c'], ['u'], called='profile', max_title=5)
    assert tables['title'] == ['xxxxx', 'two l', 'unknown title']
    assert tables['brand'] == ['unknown brand', 'brand 1', 'brand 2']
    assert tables['price'] == ['0.00', 'unknown price', '2.00']
    assert tables['user_name'] == ['a woman']
    assert word_tables(corpus, ['a', 'b', 'c'], ['u'])['user_name'] == ['U0']
    assert word_tables(corpus, ['a', 'b', 'c'], ['u'], called='user')['user_name'] == ['u']
    assert caplog.text.count('are longer than 5 characters') == 1
    assert 'the longest, that of B0, has 10000' in caplog.text


@pytest.mark.parametrize(
    ('names', 'called', 'message'),
    [((['a'], ['u']), 'profile', '1 names for 20 items'), ((_TITLES, ['u']), 'nickname', "not 'nickname'")],
)
def test_words_that_do_not_fit_the_corpus_are_refused(names, called, message):
    with pytest.raises(ValueError, match=message):
        word_tables(corpus_of([[0]], _TITLES), *names, called=called)


def test_what_a_corpus_lacks_is_told_with_the_reason():
    corpus = corpus_of([[0, 1]], ['', ''], reviews=['', ''], stars=[np.nan, np.nan])
    absent = absent_fields(corpus)
    assert absent['title'] == 'no item has a title' and absent['stars'] == 'no event has a rating'
    assert {'review', 'explanation', 'headline', 'like'} <= set(absent) and 'brand' not in absent
