"""What every split keeps apart, whatever the histories; and what each holds out, worked by hand."""

import dataclasses

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from llmrec_jax.corpora.clock import POSITION, has_clock
from llmrec_jax.corpora.cold_items import ColdItems
from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users
from llmrec_jax.corpora.drawn_splits import ByUser, FewShot, RandomEvents
from llmrec_jax.corpora.split_facts import split_facts
from llmrec_jax.corpora.split_rules import (
    LEAVE_LAST_OUT,
    GlobalTemporal,
    UserTemporal,
    cut_by,
    described,
    split_by,
)
from llmrec_jax.corpora.splits import GIVEN, TEST, TRAIN, VALIDATION, Cut, Splits, leave_last_out
from tests.corpora.test_splits import lists_of

WHOLE = (LEAVE_LAST_OUT, UserTemporal(0.2, 0.3), GlobalTemporal(0.5, 0.75), ByUser(0.2, 0.3, 0.4, seed=3),
         RandomEvents(0.2, 0.2, seed=5))  # fmt: skip
RULES = (
    *WHOLE,
    *(ColdItems(rule, 0.3, seed=2) for rule in WHOLE),
    *(FewShot(rule, 0.4, of, seed=1) for rule in WHOLE for of in ('users', 'events')),
)
# Each is tried for many rules.
few = settings(max_examples=25, deadline=None)
by_rule = pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.name)
times = st.lists(st.lists(st.integers(0, 40), max_size=7), min_size=4, max_size=8)


def corpus_at(times: list[list[int]], items: list[int] | None = None, **provenance) -> Corpus:
    """Each user's events at some times; by default every event has an item of its own, its row."""
    total = sum(map(len, times))
    items = list(range(total)) if items is None else items
    names = [str(item) for item in range(max(items, default=0) + 1)]
    blank = [''] * len(names)
    return Corpus(
        'test/times',
        Items(names, names, blank, [()] * len(names), blank, np.full(len(names), np.nan)),
        Users([str(user) for user in range(len(times))], [''] * len(times)),
        Events(
            np.repeat(np.arange(len(times)), [len(one) for one in times]),
            np.asarray(items, np.int64),
            np.asarray([at for one in times for at in sorted(one)], np.int64),
            np.full(total, np.nan),
            [''] * total,
            [''] * total,
        ),
        provenance,
    )


def possible(rule, corpus: Corpus) -> Cut:
    """The cut of the corpus with three items instead, where it is large enough for the rule."""
    events = dataclasses.replace(corpus.events, item=corpus.events.item % 3)
    try:
        return cut_by(rule, dataclasses.replace(corpus, events=events))
    except ValueError:
        assume(False)


def parts(splits: Splits):
    return (('validation', splits.validation, VALIDATION), ('test', splits.test, TEST))


@by_rule
@few
@given(times)
def test_nothing_held_out_is_learned_from_and_everybody_asked_has_a_history(rule, times):
    corpus = corpus_at(times)
    cut = possible(rule, corpus)
    splits = cut.splits(corpus)
    user, offsets = corpus.events.user, corpus.user_offsets
    # Items are rows of events.
    np.testing.assert_array_equal(splits.train.values, np.flatnonzero(cut.roles == TRAIN))
    np.testing.assert_array_equal(
        np.repeat(np.arange(len(splits.train)), splits.train.lengths), user[splits.train.values]
    )
    for _, cases, role in parts(splits):
        assert (cut.roles[cases.target] == role).all()
        assert (user[cases.target] == cases.user).all() and (np.diff(cases.user) > 0).all()
        for row, target in enumerate(cases.target.tolist()):
            history = cases.histories[row]
            assert len(history) and target not in history and (np.diff(history) > 0).all()
            assert (user[history] == cases.user[row]).all()
            if rule.whole_histories:
                assert history.tolist() == list(range(offsets[cases.user[row]], target))
            else:
                assert np.isin(cut.roles[history], (TRAIN, GIVEN)).all()

    # Whom validation asks knows no test event.
    assert not set(splits.validation.histories.values.tolist()) & set(splits.test.target.tolist())
    assert not set(splits.validation.target.tolist()) & set(splits.test.target.tolist())


@few
@given(times)
def test_leave_last_out_is_the_one_of_the_papers(times):
    corpus = corpus_at(times)
    one, other = LEAVE_LAST_OUT.cut(corpus).splits(corpus), leave_last_out(corpus)
    evaluated = [user for user, history in enumerate(times) if len(history) >= 3]
    assert other.test.user.tolist() == evaluated
    # Of histories that short, a share of them is one event.
    small = split_by(UserTemporal(1e-9, 1e-9), corpus) if evaluated else other
    for found in (one, small):
        assert lists_of(found.train) == lists_of(other.train)
        for (_, mine, _), (_, theirs, _) in zip(parts(found), parts(other)):
            assert lists_of(mine.histories) == lists_of(theirs.histories)
            assert mine.target.tolist() == theirs.target.tolist()


@few
@given(times, st.floats(0.1, 0.8), st.floats(0.1, 0.8))
def test_global_temporal_learns_from_nothing_later(times, one, other):
    assume(one < other)
    corpus = corpus_at(times)
    cut = possible(GlobalTemporal(one, other), corpus)
    at = corpus.events.timestamp
    assert at[cut.roles == TRAIN].max() < cut.train_until == at[cut.roles == VALIDATION].min()
    assert at[cut.roles == VALIDATION].max() < at[cut.roles == TEST].min()
    facts = split_facts(corpus, cut)['overlap']
    assert facts['training_later_than_test'] == 0 == facts['tests_with_later_training']


@pytest.mark.parametrize('rule', WHOLE, ids=lambda rule: rule.name)
@few
@given(times)
def test_few_shots_ask_the_same_and_a_larger_share_holds_a_smaller(rule, times):
    corpus = corpus_at(times)
    whole = possible(rule, corpus).splits(corpus)
    for of in ('users', 'events'):
        few, more = (possible(FewShot(rule, share, of), corpus).splits(corpus) for share in (0.2, 0.6))
        for (_, mine, _), (_, theirs, _) in zip(parts(few), parts(whole)):
            assert mine.target.tolist() == theirs.target.tolist()
            assert lists_of(mine.histories) == lists_of(theirs.histories)
        assert set(few.train.values.tolist()) <= set(more.train.values.tolist())
        assert set(more.train.values.tolist()) <= set(whole.train.values.tolist())
        if of == 'users':
            for user in range(len(whole.train)):
                assert few.train[user].tolist() in ([], whole.train[user].tolist())


TIMES = [[1, 2, 3, 20, 40], [5, 25, 26, 50], [30, 45], [41]]


def test_global_temporal_asks_for_the_first_event_of_each_period_that_has_one_before():
    # Events 0-4, 5-8, 9-10 and 11; validation from 20, test from 40.
    corpus = corpus_at([[second * 86400 for second in one] for one in TIMES])
    splits = split_by(GlobalTemporal('1970-01-21', '1970-02-10'), corpus)
    assert lists_of(splits.train) == [[0, 1, 2], [5], [], []]
    assert splits.validation.target.tolist() == [3, 6] and splits.test.target.tolist() == [4, 8, 10]
    # Of the third user, training knows nothing; the fourth has nothing before the only event.
    assert lists_of(splits.test.histories) == [[0, 1, 2, 3], [5, 6, 7], [9]]


def test_shares_of_time_are_of_all_events():
    cut = GlobalTemporal(0.5, 0.75).cut(corpus_at(TIMES))
    # Sorted: 1 2 3 5 20 25 | 26 30 40 | 41 45 50.
    assert cut.train_until == 26
    assert np.bincount(cut.roles).tolist() == [6, 3, 3]


def test_user_temporal_asks_rankings_for_the_first_of_each_part():
    cut = UserTemporal(0.2, 0.3).cut(corpus_at([list(range(10)), [1, 2]]))
    assert cut.roles.tolist() == [TRAIN] * 5 + [VALIDATION] * 2 + [TEST] * 3 + [TRAIN] * 2
    assert cut.validation.tolist() == [5] and cut.test.tolist() == [7]


def test_by_user_training_knows_nobody_who_is_asked():
    corpus = corpus_at([list(range(10)) for _ in range(10)])
    splits = split_by(ByUser(0.1, 0.2, history=0.4), corpus)
    held_out = [*splits.validation.user, *splits.test.user]
    assert len(held_out) == 3 and splits.train.lengths[held_out].tolist() == [0, 0, 0]
    assert (splits.train.lengths > 0).sum() == 7
    assert (splits.test.histories.lengths == 4).all()
    assert split_facts(corpus, ByUser(0.1, 0.2, 0.4).cut(corpus))['overlap']['cold_users'] == 1.0


def test_random_events_keep_each_user_and_item_in_training_and_give_it_as_history():
    rng = np.random.default_rng(0)
    corpus = corpus_at([list(range(0, 60, 3))] * 30, rng.integers(0, 50, 600).tolist())
    cut = RandomEvents(0.1, 0.1, seed=2).cut(corpus)
    assert np.bincount(cut.roles).tolist() == [480, 60, 60]
    splits = cut.splits(corpus)
    assert (splits.train.lengths > 0).all() and len(np.unique(splits.train.values)) == 50
    for row, user in enumerate(splits.test.user):
        assert splits.test.histories[row].tolist() == splits.train[int(user)].tolist()
    overlap = split_facts(corpus, cut)['overlap']
    assert overlap['histories_with_later_events'] > 0.8 and overlap['cold_items'] == 0


def test_overlap_counts_what_training_knows_too_early():
    # Last events test, the last but one validate: training has times 1, 2 and 9; tests are at 5 and 11.
    corpus = corpus_at([[1, 2, 4, 5], [9, 10, 11]], [0, 1, 2, 3, 0, 1, 0])
    facts = split_facts(corpus, LEAVE_LAST_OUT.cut(corpus))
    assert facts['events_by_part'] == {'train': 3, 'validation': 2, 'test': 2, 'given': 0}
    assert facts['asked'] == {'validation': 2, 'test': 2}
    assert facts['overlap'] == {
        'training_later_than_test': pytest.approx((1 / 3 + 0) / 2),
        'tests_with_later_training': 0.5,
        'histories_with_later_events': 0.0,
        'cold_users': 0.0,
        'cold_items': 0.5,
    }
    no_clock = dataclasses.replace(corpus, provenance={'timestamps': POSITION})
    overlap = split_facts(no_clock, LEAVE_LAST_OUT.cut(no_clock))['overlap']
    assert overlap['training_later_than_test'] is None and overlap['cold_items'] == 0.5


@pytest.mark.parametrize(
    ('rule', 'times', 'told'),
    [
        (GlobalTemporal(), [[1], [2]], 'between 1970-01-01T00:00:01 and 1970-01-01T00:00:02'),
        (GlobalTemporal('1990-01-01', '1991-01-01'), TIMES, 'leave a part of test/times empty'),
        (GlobalTemporal(0.5, 0.9), [[1], [2], [3], [4]], 'nobody of test/times is asked'),
        (ByUser(), [[1, 2], [1]], 'too few'),
        (UserTemporal(), [[1, 2], [1]], 'nobody of test/times is asked'),
    ],
)
def test_a_corpus_that_cannot_be_split_so_is_told(rule, times, told):
    with pytest.raises(ValueError, match=told):
        split_by(rule, corpus_at(times))


def test_positions_are_no_times_whether_a_source_says_so_or_not():
    counted = corpus_at([[1, 2, 3], [1, 2]])
    assert not has_clock(counted) and not has_clock(corpus_at(TIMES, timestamps=POSITION))
    assert has_clock(corpus_at(TIMES)) and has_clock(corpus_at([[1, 2, 3], [2, 3]]))
    with pytest.raises(ValueError, match='no clock'):
        GlobalTemporal().cut(counted)
    with pytest.raises(ValueError, match='no clock'):
        GlobalTemporal().cut(corpus_at(TIMES, timestamps=POSITION))


@pytest.mark.parametrize(
    'make',
    [
        lambda: GlobalTemporal(0.9, 0.8),
        lambda: GlobalTemporal('2014-01-31', '2014-01-30'),
        lambda: GlobalTemporal('31.1.2014', '2014-03-01'),
        lambda: GlobalTemporal(0.0, 0.5),
        lambda: UserTemporal(0.5, 0.5),
        lambda: ByUser(0.0, 0.1),
        lambda: ByUser(history=1.0),
        lambda: RandomEvents(0.1, 0.95),
        lambda: FewShot(share=1.0),
        lambda: FewShot(of='items'),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError):
        make()


def test_a_rule_has_a_name_of_its_own_and_says_its_settings():
    assert [rule.name for rule in WHOLE] == [
        'leave_last_out', 'user_temporal', 'global_temporal', 'by_user', 'random_events',
    ]  # fmt: skip
    assert FewShot().name == 'few_users_0.1'
    assert FewShot(GlobalTemporal(), 0.25, 'events').name == 'global_temporal_few_events_0.25'
    assert described(LEAVE_LAST_OUT) == {
        'split_rule': 'leave_last_out',
        'validation_item_in_test_history': True,
    }
    told = described(FewShot(GlobalTemporal('2014-01-01', 0.9)))
    assert told['split_settings']['split']['split_settings'] == {
        'validation_from': '2014-01-01',
        'test_from': 0.9,
    }
