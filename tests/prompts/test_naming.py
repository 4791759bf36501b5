import dataclasses

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.prompts.naming.collaborative import CollaborativeNames, CollaborativeUsers, co_occurrence
from llmrec_jax.prompts.naming.numbers import CodeNames, RandomNumbers, SequentialNumbers, TrainingNumbers
from llmrec_jax.prompts.naming.scheme import ItemNaming, UserNaming, distinct
from llmrec_jax.prompts.naming.titles import TitleNames
from tests.prompts.corpora import corpus_of

_ITEMS = 12
_CODES = CodeNames(np.stack(np.divmod(np.arange(_ITEMS), 4), axis=1))
SCHEMES = (
    SequentialNumbers(), TrainingNumbers(), RandomNumbers(), TitleNames(), _CODES,
    CollaborativeNames(clusters=2, largest_leaf=3),
)  # fmt: skip

_histories = st.lists(
    st.permutations(range(_ITEMS)).flatmap(lambda row: st.integers(1, 8).map(lambda length: row[:length])),
    min_size=1,
    max_size=8,
)


def _corpus(histories):
    return corpus_of(histories, [f'title {row % 5}' for row in range(_ITEMS)])


def _names(scheme: ItemNaming, corpus) -> list[str]:
    return scheme.item_names(corpus, leave_last_out(corpus).train)


def _user_names(scheme: UserNaming, corpus) -> list[str]:
    return scheme.user_names(corpus, leave_last_out(corpus).train)


@pytest.mark.parametrize('scheme', SCHEMES, ids=lambda scheme: type(scheme).__name__)
@hypothesis.given(histories=_histories)
@hypothesis.settings(max_examples=5)
def test_every_item_has_a_name_of_its_own(scheme, histories):
    names = _names(scheme, _corpus(histories))
    assert len(names) == len(set(names)) == _ITEMS
    assert names == _names(scheme, _corpus(histories))


@pytest.mark.parametrize('scheme', SCHEMES, ids=lambda scheme: type(scheme).__name__)
def test_only_a_scheme_that_is_marked_reads_held_out_events(scheme):
    histories = [[3, 1, 4, 5, 9], [2, 6, 5, 0, 8], [7, 1, 8, 2, 10], [3, 2, 11, 4, 0]]
    other = [[*history[:-2], history[-1], history[-2]] for history in histories]
    moved = [[*history[:-1], other[row - 1][-1]] for row, history in enumerate(histories)]
    names = [_names(scheme, _corpus(rows)) for rows in (histories, other, moved)]
    assert (names[0] != names[1] or names[0] != names[2]) == scheme.leaks


def test_sequential_numbers_follow_the_walk_through_whole_histories():
    corpus = _corpus([[4, 2, 7], [2, 9, 4, 0]])
    names = _names(SequentialNumbers(item_prefix='i'), corpus)
    assert [names[item] for item in (4, 2, 7, 9, 0)] == ['i1', 'i2', 'i3', 'i4', 'i5']
    assert _user_names(SequentialNumbers(), corpus) == ['user_1', 'user_2']


def test_training_numbers_leave_what_training_has_not_seen_to_chance():
    corpus = _corpus([[4, 2, 7, 1, 0], [2, 9, 4, 0]])
    names = _names(TrainingNumbers(item_prefix=''), corpus)
    assert [names[item] for item in (4, 2, 7, 9)] == ['1', '2', '3', '4']
    other = _names(TrainingNumbers(item_prefix='', seed=1), corpus)
    assert names != other and set(names) == set(other)


def test_random_numbers_depend_on_the_seed_and_users_get_their_own():
    corpus = _corpus([[0]] * 12)
    names = _names(RandomNumbers(), corpus)
    assert sorted(int(name.removeprefix('item_')) for name in names) == list(range(1, 13))
    assert names != _names(RandomNumbers(seed=1), corpus)
    users = _user_names(RandomNumbers(), corpus)
    assert sorted(users) == sorted(f'user_{number}' for number in range(1, 13))
    assert [name[5:] for name in users] != [name[5:] for name in names]


def test_titles_that_come_again_get_a_number():
    assert distinct(['a', 'b', 'a', 'a (2)', 'a']) == ['a', 'b', 'a (3)', 'a (2)', 'a (4)']
    corpus = corpus_of([[0, 1, 2, 3]], ['Hamlet', '', 'Hamlet ', ' '])
    assert _names(TitleNames(), corpus) == ['Hamlet', 'Untitled item', 'Hamlet (2)', 'Untitled item (2)']


@hypothesis.given(st.lists(st.sampled_from(['a', 'a (2)', 'a (3)', 'b']), max_size=9))
@hypothesis.settings(max_examples=50)
def test_numbers_never_make_a_title_another(titles):
    names = distinct(titles)
    assert len(set(names)) == len(titles)
    assert all(name.startswith(title) for name, title in zip(names, titles))


def test_long_titles_are_cut_and_stay_distinct(caplog):
    corpus = corpus_of([[0, 1]], ['x' * 10_000, 'x' * 90])
    assert _names(TitleNames(), corpus) == ['x' * 80, 'x' * 80 + ' (2)']
    assert 'titles as names: 2 of 2 are longer than 80 characters' in caplog.text
    assert 'that of B0, has 10000' in caplog.text


def test_a_corpus_without_titles_cannot_be_named_by_them():
    with pytest.raises(ValueError, match='test/corpus: no item has a title'):
        _names(TitleNames(), corpus_of([[0, 1]], ['', ' ']))


def test_codes_are_written_as_the_tokens_of_the_semantic_id_vocabulary():
    assert _names(_CODES, _corpus([[0]]))[5] == '<0_1><1_1>'
    with pytest.raises(ValueError, match='2 rows of codes for 12 items'):
        _names(CodeNames(np.zeros((2, 3), np.int64)), _corpus([[0]]))
    with pytest.raises(ValueError, match='two items have the codes <0_0><1_0>'):
        _names(CodeNames(np.zeros((12, 2), np.int64)), _corpus([[0]]))


def _planted_groups(groups: int, size: int):
    """Users who buy within one group of items alone."""
    rng = np.random.default_rng(0)
    histories = [
        (group + groups * rng.permutation(size)[:8]).tolist() for group in range(groups) for _ in range(20)
    ]
    return corpus_of(histories, [f'title {row}' for row in range(groups * size)])


def test_collaborative_names_begin_alike_where_items_are_bought_together():
    corpus = _planted_groups(4, 15)
    names = _names(CollaborativeNames(clusters=4, largest_leaf=15), corpus)
    prefixes = [{names[item].rsplit('_', 1)[0] for item in range(group, 60, 4)} for group in range(4)]
    assert all(len(prefix) == 1 for prefix in prefixes) and len(set.union(*prefixes)) == 4
    assert names == _names(CollaborativeNames(clusters=4, largest_leaf=15), corpus)


@pytest.mark.parametrize('largest_leaf', [1, 4])
def test_no_leaf_of_the_tree_is_larger_than_asked_for(largest_leaf):
    corpus = _planted_groups(3, 12)
    names = _names(CollaborativeNames(clusters=3, largest_leaf=largest_leaf, most_levels=2), corpus)
    leaves = [name.rsplit('_', 1)[0] for name in names]
    assert max(leaves.count(leaf) for leaf in leaves) <= largest_leaf
    assert len(set(names)) == len(names)


def test_items_that_nobody_bought_have_names_too():
    corpus = corpus_of([[0, 1, 2, 3, 4]] * 5, [f'title {row}' for row in range(40)])
    names = _names(CollaborativeNames(clusters=2, largest_leaf=4), corpus)
    assert len(set(names)) == 40


def test_the_graph_counts_users_who_had_both_items_in_training():
    corpus = _corpus([[0, 1, 2, 0, 5, 6], [1, 0, 7, 8], [3, 4]])
    graph = co_occurrence(leave_last_out(corpus).train, _ITEMS).toarray()
    assert graph[0, 1] == graph[1, 0] == 2 and graph[0, 2] == graph[3, 4] == 1
    assert graph.trace() == 0 and graph[5:].sum() == 0


@pytest.mark.parametrize('options', [{'clusters': 1}, {'largest_leaf': 0}, {'most_levels': 0}])
def test_a_tree_that_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match='CollaborativeNames: clusters='):
        dataclasses.replace(CollaborativeNames(), **options)


def test_collaborative_users_begin_alike_where_they_buy_the_same_items():
    corpus = _planted_groups(4, 15)
    names = _user_names(CollaborativeUsers(clusters=4), corpus)
    prefixes = [
        {name.rsplit('_', 1)[0] for name in names[20 * group : 20 * group + 20]} for group in range(4)
    ]
    assert all(len(prefix) == 1 for prefix in prefixes) and len(set.union(*prefixes)) == 4
    assert len(set(names)) == len(names) == 80
    assert names == _user_names(CollaborativeUsers(clusters=4), corpus)


def test_collaborative_users_do_not_see_held_out_events():
    histories = [[3, 1, 4, 5, 9], [2, 6, 5, 0, 8], [7, 1, 8, 2, 10], [3, 2, 11, 4, 0]]
    moved = [[*history[:-2], (history[-2] + 1) % 3, (history[-1] + 5) % 12] for history in histories]
    scheme = CollaborativeUsers(clusters=2)
    assert _user_names(scheme, _corpus(histories)) == _user_names(scheme, _corpus(moved))


def test_users_who_share_no_purchase_are_a_cluster_of_their_own():
    corpus = corpus_of([[0, 1, 2, 3]] * 6 + [[4, 5, 6, 7]] * 6 + [[8, 9, 10], [11]], ['title'] * _ITEMS)
    names = _user_names(CollaborativeUsers(clusters=2), corpus)
    clusters = [name.split('_')[1] for name in names]
    assert clusters[12] == clusters[13] == '2' and '2' not in clusters[:12]
    assert len(set(clusters[:6])) == len(set(clusters[6:12])) == 1


def test_fewer_than_two_clusters_of_users_are_refused():
    with pytest.raises(ValueError, match='CollaborativeUsers.clusters=1 must be at least 2'):
        CollaborativeUsers(clusters=1)


def test_more_clusters_than_users_who_share_purchases_are_refused():
    with pytest.raises(ValueError, match='CollaborativeUsers.clusters=5: only 3 users'):
        _user_names(CollaborativeUsers(clusters=5), _corpus([[0, 1, 2, 3]] * 3 + [[4, 5, 6]]))
