import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from llmrec_jax.corpora.splits import RankingCases, Splits
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.evaluation.sampled_protocol import (
    NegativeSampler,
    SampledProtocol,
    joined_records,
    sampled_metrics,
    sampled_ranks,
    sampled_record,
)
from tests.evaluation.ranking_cases import ranking_cases, sequences

N_ITEMS, USERS = 40, 12
RNG = np.random.default_rng(3)
ROWS = [RNG.permutation(N_ITEMS)[:6].tolist() for _ in range(USERS)]
SPLITS = Splits(
    train=sequences([row[:4] for row in ROWS]),
    validation=ranking_cases([row[:4] for row in ROWS], [row[4] for row in ROWS]),
    test=ranking_cases([row[:5] for row in ROWS], [row[5] for row in ROWS]),
)
COUNTS = np.bincount(SPLITS.train.values, minlength=N_ITEMS).astype(np.float64)


class Hashing(DenseRecommender):
    """Scores that depend on the history, with ties."""

    n_items = N_ITEMS

    def scores(self, histories):
        last = histories.values[histories.offsets[1:] - 1]
        return ((last[:, None] * 7 + np.arange(N_ITEMS) * 13) % 17).astype(np.float64)


class Constant(DenseRecommender):
    n_items = N_ITEMS

    def scores(self, histories):
        return np.zeros((len(histories), N_ITEMS))


def sampler(**switches) -> NegativeSampler:
    return NegativeSampler(SampledProtocol(**switches), SPLITS, COUNTS)


@pytest.mark.parametrize(('excluded', 'seen_items'), [('nothing', 'kept'), ('history', 'removed')])
def test_all_items_as_negatives_give_the_full_metric(excluded, seen_items):
    drawer = sampler(negatives=None, excluded=excluded)
    found = sampled_ranks({'hashing': Hashing()}, SPLITS.test, drawer, cases_at_once=5)['hashing']
    full = Hashing().recommend(SPLITS.test, 10, seen_items=seen_items).target_rank
    np.testing.assert_array_equal(found, full)


@hypothesis.given(
    st.sampled_from(['nothing', 'history', 'training', 'sequence']),
    st.sampled_from(['uniform', 'popularity']),
    st.sampled_from(['validation', 'test']),
    st.integers(0, 5),
)
@hypothesis.settings(max_examples=30)
def test_negatives_are_distinct_and_none_is_excluded(excluded, drawn, split, seed):
    drawer = sampler(negatives=9, excluded=excluded, drawn=drawn, split=split, seed=seed)
    cases = getattr(SPLITS, split)
    for row in range(len(cases)):
        negatives = set(drawer.negatives(cases, row).tolist())
        never = {
            'nothing': [],
            'history': cases.histories[row],
            'training': SPLITS.train[row],
            'sequence': ROWS[row],
        }[excluded]
        assert len(negatives) == 9
        assert not negatives & {*map(int, never), int(cases.target[row])}
        if drawn == 'popularity':
            assert all(COUNTS[item] > 0 for item in negatives)


def test_a_user_has_the_same_negatives_whoever_else_is_asked():
    drawer = sampler(negatives=5)
    alone = SPLITS.test.select(np.array([7]))
    np.testing.assert_array_equal(drawer.negatives(alone, 0), drawer.negatives(SPLITS.test, 7))


def test_popular_items_are_drawn_in_proportion_to_their_events():
    counts = np.array([0.0, 1, 3, 0])
    splits = Splits(
        train=sequences([[3]] * 4000),
        validation=ranking_cases([[3]], [3]),
        test=RankingCases(np.arange(4000), sequences([[3]] * 4000), np.full(4000, 3)),
    )
    drawer = NegativeSampler(
        SampledProtocol(negatives=1, drawn='popularity', excluded='training'), splits, counts
    )
    drawn = np.concatenate([drawer.negatives(splits.test, row) for row in range(4000)])
    shares = np.bincount(drawn, minlength=4) / 4000
    assert shares[[0, 3]].tolist() == [0, 0]
    # Four standard deviations of the share.
    assert shares[2] == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / 4000) ** 0.5)


def test_metrics_bear_the_protocol_in_their_names_and_ties_count_against_the_target():
    drawer = sampler(negatives=20, drawn='uniform')
    ranks = sampled_ranks({'constant': Constant()}, SPLITS.test, drawer)['constant']
    measured = sampled_metrics(ranks, drawer.protocol, Bootstrap(resamples=50))
    assert set(measured.metrics) == {
        f'{name}@{k}_of_21_uniform' for name in ('recall', 'ndcg', 'mrr') for k in (5, 10)
    }
    assert set(measured.metrics.values()) == {0.0}
    assert measured.examples == USERS


def test_a_record_names_protocol_and_systems_and_limits_users():
    protocol = SampledProtocol(negatives=9, drawn='popularity', users=5)
    record = sampled_record(protocol, {'hashing': Hashing()}, SPLITS, COUNTS, Bootstrap(resamples=50))
    assert record['suffix'] == '_of_10_popularity'
    assert record['protocol']['excluded'] == 'sequence'
    assert record['systems']['hashing']['examples'] == 5
    assert record['systems']['hashing']['recall@10_of_10_popularity'] == 1.0


def test_systems_of_two_records_of_a_protocol_are_joined():
    protocol, bootstrap = SampledProtocol(negatives=9), Bootstrap(resamples=50)
    apart = [
        [sampled_record(protocol, {name: system}, SPLITS, COUNTS, bootstrap)]
        for name, system in (('hashing', Hashing()), ('constant', Constant()))
    ]
    both = {'hashing': Hashing(), 'constant': Constant()}
    assert joined_records(*apart) == [sampled_record(protocol, both, SPLITS, COUNTS, bootstrap)]
    assert joined_records() == []


def test_a_score_that_is_none_is_told_of_its_system():
    class Broken(Constant):
        def scores(self, histories):
            return np.full((len(histories), N_ITEMS), np.nan)

    with pytest.raises(ValueError, match=r"system 'broken': a score after the history of user 0 is NaN"):
        sampled_ranks({'broken': Broken()}, SPLITS.test, sampler(negatives=9))


def test_bad_switches_and_too_few_items_are_told():
    with pytest.raises(ValueError, match=r"SampledProtocol.drawn is 'random'"):
        SampledProtocol(drawn='random')
    with pytest.raises(ValueError, match='must be at least 1, or None'):
        SampledProtocol(negatives=0)
    with pytest.raises(ValueError, match="drawn must be 'uniform'"):
        SampledProtocol(negatives=None, drawn='popularity')
    with pytest.raises(ValueError, match=r'user 3: 35 negatives are wanted, but only 34 of 40'):
        sampler(negatives=35).negatives(SPLITS.test, 3)


def test_the_sequence_of_a_user_who_is_asked_on_one_split_alone_is_what_the_split_knows():
    few = dataclasses.replace(SPLITS, test=SPLITS.test.select(np.array([0])))
    protocol = SampledProtocol(split='validation', negatives=None, excluded='sequence')
    drawn = NegativeSampler(protocol, few, COUNTS)
    assert set(range(N_ITEMS)) - set(drawn.negatives(few.validation, 1).tolist()) == set(ROWS[1][:5])
    assert set(range(N_ITEMS)) - set(drawn.negatives(few.validation, 0).tolist()) == set(ROWS[0])
