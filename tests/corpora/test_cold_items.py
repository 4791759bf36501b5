"""What a split holds out of items, and what it leaves alone."""

import numpy as np
import pytest

from llmrec_jax.corpora.cold_items import ColdItems
from llmrec_jax.corpora.split_rules import UserTemporal, split_by
from llmrec_jax.corpora.splits import GIVEN, TEST, leave_last_out
from tests.corpora.test_split_rules import corpus_at

USERS, LENGTH, ITEMS = 40, 6, 30


@pytest.fixture(scope='module')
def corpus():
    items = np.random.default_rng(0).integers(0, ITEMS, USERS * LENGTH)
    return corpus_at([list(range(LENGTH))] * USERS, items.tolist())


def test_training_and_validation_know_nothing_of_the_drawn_items(corpus):
    found, whole = split_by(ColdItems(share=0.2, seed=1), corpus), leave_last_out(corpus)
    asked = set(whole.test.target.tolist())
    cold = asked - set(found.train.values.tolist())
    assert len(cold) == round(0.2 * len(asked))
    assert not cold & set(found.validation.target.tolist())
    # Of training nothing else is gone, and those who are asked are asked alike, after the same histories.
    left = [item for item in whole.train.values.tolist() if item not in cold]
    assert found.train.values.tolist() == left
    np.testing.assert_array_equal(found.test.target, whole.test.target)
    np.testing.assert_array_equal(found.test.histories.values, whole.test.histories.values)
    assert cold & set(found.test.histories.values.tolist())


def test_one_item_at_least_is_drawn_and_another_seed_draws_others(corpus):
    cuts = [ColdItems(share=0.001, seed=seed).cut(corpus) for seed in range(8)]
    drawn = [set(corpus.events.item[cut.roles == GIVEN].tolist()) for cut in cuts]
    assert all(len(one) == 1 for one in drawn)
    assert len(set.union(*drawn)) > 1


def test_it_keeps_what_another_rule_tests(corpus):
    rule = ColdItems(UserTemporal(0.2, 0.3), 0.5)
    assert rule.name == 'user_temporal_cold_items_0.5' and ColdItems().name == 'cold_items_0.05'
    np.testing.assert_array_equal(rule.cut(corpus).test, rule.split.cut(corpus).test)
    roles = rule.cut(corpus).roles, rule.split.cut(corpus).roles
    np.testing.assert_array_equal(roles[0] == TEST, roles[1] == TEST)


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_shares_are_shares(share):
    with pytest.raises(ValueError, match='ColdItems.share'):
        ColdItems(share=share)
