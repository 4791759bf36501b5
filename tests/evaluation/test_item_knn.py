import numpy as np

from llmrec_jax.evaluation.baselines import counted
from tests.evaluation.ranking_cases import sequences


def test_too_many_similarities_are_not_held_and_scores_stay_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, 30, rng.integers(0, 9)).tolist() for _ in range(40)]
    histories = sequences([[], [29], *drawn[:5], [4, 4, 7]])
    held = counted.ItemKnn(sequences(drawn), 31)
    monkeypatch.setattr(counted, '_PAIRS_HELD', 0)
    factored = counted.ItemKnn(sequences(drawn), 31)
    assert held._similarity is not None and factored._similarity is None
    expected, scores = held.scores(histories), factored.scores(histories)
    np.testing.assert_allclose(scores, expected, atol=1e-12)
    # An item that shares no user with the history has nothing, and not what rounding leaves of it.
    assert ((scores == 0) == (expected == 0)).all() and (expected == 0).any()


def test_a_million_items_take_the_memory_of_their_events(monkeypatch):
    monkeypatch.setattr(counted, '_PAIRS_HELD', 0)
    scores = counted.ItemKnn(sequences([[0, 999_999], [999_999, 5]]), 1_000_000).scores(sequences([[0]]))
    assert np.flatnonzero(scores[0]).tolist() == [999_999]
    np.testing.assert_allclose(scores[0, 999_999], 1 / np.sqrt(2))
