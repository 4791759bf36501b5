"""The planted law: exact against a slow re-derivation, against draws, and as a ceiling over other rankers."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.corpora.simulated_shop.behaviour import Behaviour
from llmrec_jax.corpora.simulated_shop.ceiling import BayesRecommender, ceiling
from llmrec_jax.corpora.simulated_shop.histories import draw_histories
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.splits import RankingCases, Sequences, leave_last_out

TINY = SimulatedShop('tiny')
LAW = TINY.law()


def sequences(rows):
    lengths = [len(row) for row in rows]
    values = np.array([item for row in rows for item in row], np.int64)
    return Sequences(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def wanted_slowly(law, kind, history):
    """Q_z by the formula of the law's docstring, over positions in tree order; `history` oldest first."""
    shares, worth = law.behaviour, law.worth[kind].astype(float)

    def choice(inside):
        return np.where(inside, worth, 0.0) / worth[inside].sum()

    everything = np.ones(law.n_items, bool)
    uniform = np.full(law.n_items, 1 / law.n_items)
    if not history:
        return (1 - shares.noise) * choice(everything) + shares.noise * uniform
    anchors = history[::-1][: len(shares.memory)]
    lag_weights = np.array(shares.memory[: len(anchors)])
    total = shares.popularity * choice(everything) + shares.noise * uniform
    for weight, anchor in zip(lag_weights / lag_weights.sum(), anchors):
        leaf = law.leaf[anchor]
        section = law.section_of_leaf[leaf]
        total = total + weight * (
            shares.same_leaf * choice(law.leaf == leaf)
            + shares.same_section * choice(law.section_of_leaf[law.leaf] == section)
            + shares.complement
            * sum(
                share * choice(law.leaf == other)
                for share, other in zip(shares.complements, law.complements[leaf])
            )
        )
    return total


def predictive_slowly(law, items):
    """Posterior over types, and P(next item | history), by enumeration."""
    positions = [int(law.position_of_item[item]) for item in items]
    joint = law.prior.copy()
    nexts = np.zeros((law.n_types, law.n_items))
    for kind in range(law.n_types):
        for step in range(len(positions) + 1):
            chances = wanted_slowly(law, kind, positions[:step])
            chances[positions[:step]] = 0.0
            chances /= chances.sum()
            if step < len(positions):
                joint[kind] *= chances[positions[step]]
        nexts[kind] = chances
    posterior = joint / joint.sum()
    return posterior, (posterior @ nexts)[law.position_of_item]


histories = st.lists(st.integers(0, LAW.n_items - 1), unique=True, max_size=12)


class TestExactness:
    @settings(max_examples=25, deadline=None)
    @given(st.lists(histories, min_size=1, max_size=4))
    def test_equals_enumeration(self, rows):
        posterior, predictive = LAW.posterior(sequences(rows)), LAW.predictive(sequences(rows))
        for row, items in enumerate(rows):
            slow_posterior, slow_predictive = predictive_slowly(LAW, items)
            np.testing.assert_allclose(posterior[row], slow_posterior, rtol=1e-9, atol=1e-15)
            np.testing.assert_allclose(predictive[row], slow_predictive, rtol=1e-9, atol=1e-15)

    @pytest.mark.parametrize('memory', [(1.0,), (0.6, 0.3, 0.1)])
    def test_equals_enumeration_for_other_memories(self, memory):
        law = dataclasses.replace(TINY, behaviour=Behaviour(memory=memory, complements=(0.5, 0.3, 0.2))).law()
        rows = [[], [3], [5, 9, 90], [40, 2, 77, 1, 60]]
        for row, items in enumerate(rows):
            np.testing.assert_allclose(
                law.predictive(sequences(rows))[row], predictive_slowly(law, items)[1], rtol=1e-9
            )

    @settings(max_examples=25, deadline=None)
    @given(st.lists(histories, min_size=1, max_size=6))
    def test_rows_are_distributions_that_leave_out_what_was_bought(self, rows):
        predictive = LAW.predictive(sequences(rows))
        np.testing.assert_allclose(predictive.sum(axis=1), 1.0, rtol=1e-10)
        for row, items in enumerate(rows):
            bought = np.isin(np.arange(LAW.n_items), items)
            assert (predictive[row, bought] == 0).all()
            assert (predictive[row, ~bought] > 0).all()

    def test_draws_follow_the_predictive_distribution(self):
        """Pairs of consecutive items, first and second and then second and third, by chi-square."""
        rng = np.random.default_rng(1)
        users, n_items = 300_000, LAW.n_items
        types = rng.choice(LAW.n_types, p=LAW.prior, size=users)
        drawn = LAW.item_of_position[draw_histories(LAW, types, np.full(users, 3), rng)]

        first = LAW.predictive(sequences([[]]))[0]
        second = LAW.predictive(sequences([[item] for item in range(n_items)]))
        expected = users * first[:, None] * second
        pairs = np.bincount(drawn[:, 0] * n_items + drawn[:, 1], minlength=n_items**2).reshape(
            n_items, n_items
        )
        assert self.p_value(pairs, expected) > 1e-4
        # A law that is a little off is told apart: the test has power.
        worse = (
            users * first[:, None] * LAW.predictive(sequences([[(i + 1) % n_items] for i in range(n_items)]))
        )
        assert self.p_value(pairs, np.maximum(worse, 1e-9)) < 1e-12

        chosen = 20_000
        third = LAW.predictive(sequences(drawn[:chosen, :2].tolist()))
        expected = np.zeros((n_items, n_items))
        np.add.at(expected, drawn[:chosen, 1], third)
        pairs = np.zeros((n_items, n_items))
        np.add.at(pairs, (drawn[:chosen, 1], drawn[:chosen, 2]), 1)
        assert self.p_value(pairs, expected) > 1e-4

    @staticmethod
    def p_value(counts, expected):
        enough = expected >= 5
        statistic = ((counts - expected)[enough] ** 2 / expected[enough]).sum()
        return scipy.stats.chi2.sf(statistic, enough.sum())

    def test_posterior_finds_the_planted_type(self):
        source = SimulatedShop('quickstart')
        test = leave_last_out(source.build()).test
        posterior = source.law().posterior(test.histories)
        planted = source.user_types()[test.user]
        found = posterior[np.arange(len(planted)), planted]
        # A calibrated posterior gives the truth as much mass as it gives its own guesses, on average.
        assert abs(found.mean() - (posterior**2).sum(axis=1).mean()) < 0.02
        assert found.mean() > 2.5 / posterior.shape[1]

    def test_law_alone_equals_the_law_that_built_the_corpus(self):
        source = SimulatedShop('quickstart')
        cases = leave_last_out(source.build()).test
        attained = BayesRecommender(source.law()).attained(cases, [10])['recall@10']
        expected = ceiling(source.law(), cases, [10])['recall@10']
        assert abs(attained - expected) < 4 * np.sqrt(expected * (1 - expected) / len(cases))
        elsewhere = BayesRecommender(dataclasses.replace(source, seed=1).law()).attained(cases, [10])
        assert elsewhere['recall@10'] < 0.1 * expected


class TestCeiling:
    cases = leave_last_out(TINY.build()).test

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), noise=st.sampled_from([0.0, 1e-6, 1e-3, 0.05, 1.0]))
    def test_no_other_ranking_expects_more(self, seed, noise):
        rng = np.random.default_rng(seed)
        predictive = LAW.predictive(self.cases.histories)
        scores = predictive + noise * rng.random(predictive.shape)
        ranked = np.take_along_axis(predictive, np.argsort(-scores, axis=1), axis=1)
        best = ceiling(LAW, self.cases, [1, 5, 10])
        for k in (1, 5, 10):
            discount = 1 / np.log2(np.arange(k) + 2)
            assert ranked[:, :k].sum(axis=1).mean() <= best[f'recall@{k}'] + 1e-12
            assert (ranked[:, :k] * discount).sum(axis=1).mean() <= best[f'ndcg@{k}'] + 1e-12
        if noise == 1.0:
            assert ranked[:, :10].sum(axis=1).mean() < 0.8 * best['recall@10']

    def test_whole_catalogue_recalls_everything(self):
        values = ceiling(LAW, self.cases, [1, LAW.n_items, 10 * LAW.n_items])
        assert values[f'recall@{LAW.n_items}'] == pytest.approx(1.0)
        assert values[f'recall@{10 * LAW.n_items}'] == pytest.approx(1.0)
        assert values['recall@1'] == values['ndcg@1']

    def test_batches_change_nothing(self, monkeypatch):
        whole = ceiling(LAW, self.cases, [5])
        ranks = BayesRecommender(LAW).target_ranks(self.cases)
        monkeypatch.setattr('llmrec_jax.corpora.simulated_shop.ceiling._PROBABILITIES_AT_ONCE', 700)
        assert ceiling(LAW, self.cases, [5]) == pytest.approx(whole, abs=1e-12)
        np.testing.assert_array_equal(BayesRecommender(LAW).target_ranks(self.cases), ranks)

    def test_ranks_are_those_of_a_plain_sort(self):
        predictive = BayesRecommender(LAW).predictive(self.cases.histories)
        for row, rank in enumerate(BayesRecommender(LAW).target_ranks(self.cases)):
            order = np.argsort(-predictive[row], kind='stable')
            assert order[rank - 1] == self.cases.target[row]

    def test_bad_input(self):
        with pytest.raises(ValueError, match='no cases'):
            ceiling(LAW, RankingCases(np.zeros(0, int), sequences([]), np.zeros(0, int)), [5])
        for ks in ([], [0, 5]):
            with pytest.raises(ValueError, match='cut-offs must be at least 1'):
                ceiling(LAW, self.cases, ks)


class TestHistoriesThatTheLawRulesOut:
    def test_twice_the_same_item(self):
        with pytest.raises(ValueError, match='history 1 holds item 7 twice'):
            LAW.predictive(sequences([[3], [7, 2, 7]]))

    def test_item_out_of_the_catalogue(self):
        with pytest.raises(ValueError, match='items 3 to 96, but the catalogue has 96'):
            LAW.posterior(sequences([[3, 96]]))

    def test_everything_bought(self):
        with pytest.raises(ValueError, match='whole catalogue'):
            LAW.predictive(sequences([list(range(LAW.n_items))]))


class TestScale:
    def test_law_of_a_big_catalogue_is_exact_too(self):
        law = SimulatedShop('medium').law()
        rng = np.random.default_rng(0)
        drawn = draw_histories(law, np.zeros(20, int), np.full(20, 6), rng)
        predictive = law.predictive(sequences(law.item_of_position[drawn].tolist()))
        np.testing.assert_allclose(predictive.sum(axis=1), 1.0, rtol=1e-10)
        items = law.item_of_position[drawn[0]].tolist()
        np.testing.assert_allclose(predictive[0], predictive_slowly(law, items)[1], rtol=1e-8)

    def test_memory_of_a_law_is_types_times_items(self):
        law = SimulatedShop('medium').law()
        arrays = [getattr(law, field.name) for field in dataclasses.fields(law)]
        size = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
        assert size < 2 * 8 * law.n_types * law.n_items

    @pytest.mark.slow
    def test_medium_builds_in_seconds_and_keeps_its_law(self):
        source = SimulatedShop('medium')
        corpus = source.build()
        assert len(set(corpus.items.title)) > 0.99 * len(corpus.items)
        cases = leave_last_out(corpus).test.select(np.arange(2_000))
        attained = BayesRecommender(source.law()).attained(cases, [10])['recall@10']
        expected = ceiling(source.law(), cases, [10])['recall@10']
        assert abs(attained - expected) < 4 * np.sqrt(expected * (1 - expected) / len(cases))
