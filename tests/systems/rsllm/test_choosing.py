"""Answers read as candidates, candidates that are drawn, and shares with their intervals."""

import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits
from llmrec_jax.evaluation.wilson import wilson_interval
from llmrec_jax.systems.rsllm.choosing import named_candidate, ranked, share
from llmrec_jax.systems.rsllm.prompts import shown_candidates


@pytest.mark.parametrize(
    ('text', 'place'),
    [
        ('Toy Story', 0),
        ('the next is  toy\nSTORY.', 0),
        ('Toy Story 2', 1),
        ('Toy Story 2 and Toy Story', None),
        ('Toy Story, Toy Story', 0),
        ('Toy Storytelling', None),
        ('Alien', None),
        ('', None),
        ("Schindler's List (1993)", 2),
        ('It (2)', 3),
    ],
)
def test_an_answer_is_valid_that_names_exactly_one(text, place):
    assert named_candidate(text, ['Toy Story', 'Toy Story 2', "Schindler's List (1993)", 'It (2)']) == place


def test_candidates_hold_the_target_and_nothing_that_a_user_has_had():
    offsets = np.arange(0, 33, 4)
    train = Sequences(np.arange(32) % 12, offsets)
    cases = RankingCases(np.arange(8), train, (np.arange(8) * 4 + 5) % 12)
    splits = Splits(train, cases.select(np.arange(0)), cases)
    shown = shown_candidates(cases, splits, 12, 6, seed=3)
    places = (shown == cases.target[:, None]).argmax(axis=1)
    assert len(set(places.tolist())) > 2
    for row, items in enumerate(shown):
        assert len(set(items.tolist())) == 6 and cases.target[row] in items
        assert not set(items.tolist()) & set(train[row].tolist())
    # Whoever else is asked about, a user is shown the same.
    np.testing.assert_array_equal(
        shown_candidates(cases.select(np.array([5])), splits, 12, 6, seed=3)[0], shown[5]
    )


def test_ties_count_against_the_target_and_what_is_not_named_is_not_listed():
    shown = np.array([[4, 7, 2], [4, 7, 2]])
    scores = np.array([[1.0, 1.0, 0.0], [-np.inf, 0.0, -np.inf]])
    found = ranked(shown, scores, np.array([4, 7]), 2)
    np.testing.assert_array_equal(found.items, [[4, 7], [7, -1]])
    np.testing.assert_array_equal(found.target_rank, [2, 1])


def test_wilsons_interval():
    # Of LLaRA's 43 of 95 and 64 of 122 right answers.
    np.testing.assert_allclose(wilson_interval(43, 95), (0.3563, 0.5527), atol=1e-4)
    np.testing.assert_allclose(wilson_interval(64, 122), (0.4366, 0.6111), atol=1e-4)
    assert wilson_interval(0, 5)[0] == 0 < wilson_interval(0, 5)[1] < wilson_interval(5, 5)[0] < 1
    for found, cases in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match='no share'):
            wilson_interval(found, cases)
    told = share(np.array([True, False, True, True]))
    assert (told['cases'], told['share']) == (4, 0.75) and share(np.zeros(0, bool)) == {'cases': 0}
