import numpy as np
import pytest
from scipy import stats

from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.p5.names import star_texts
from llmrec_jax.prompts.rating_scale import RatingScale


def _drawn(scale: RatingScale, level: int, count: int, noisy: bool = True) -> list[dict[str, str]]:
    return [
        star_texts(
            scale,
            noisy,
            {'level': level},
            Draws.of(NUMPY, group='g', seed=0, epoch=0, record=record, repetition=0),
        )
        for record in range(count)
    ]


def test_the_noise_has_the_41_strings_of_the_paper():
    assert RatingScale().tenths == tuple(f'{tenths / 10}' for tenths in range(10, 51))


def test_noise_is_a_rounded_normal_distribution_about_the_tenths_that_round_to_the_rating():
    table = np.diff(RatingScale().noise, prepend=0, axis=1) / 2**32
    np.testing.assert_allclose(table.sum(axis=1), 1)
    # Three stars: 2.5 to 3.4, so a mean of 2.95 and a deviation of 0.225.
    edges = np.arange(1.05, 5.0, 0.1)
    expected = np.diff(stats.norm.cdf(edges, 2.95, 0.225), prepend=0, append=1)
    np.testing.assert_allclose(table[2], expected, atol=1e-9)
    # Five stars end at the scale's end: 4.5 to 5.0; what exceeds it is 5.0.
    assert table[4][-1] == pytest.approx(stats.norm.sf(4.95, 4.75, 0.125), abs=1e-9)


def test_drawn_stars_follow_the_noise():
    scale = RatingScale()
    texts = [row['stars'] for row in _drawn(scale, 2, 600)]
    expected = np.diff(scale.noise[2], prepend=0) / 2**32 * len(texts)
    likely = expected > 5
    counts = np.asarray([texts.count(tenth) for tenth in scale.tenths])
    rest = max(expected[~likely].sum(), 1e-9)
    observed, wanted = np.append(counts[likely], counts[~likely].sum()), np.append(expected[likely], rest)
    assert stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 1e-4


def test_without_noise_the_stars_are_the_rating():
    assert [_drawn(RatingScale(), level, 1, noisy=False)[0]['stars'] for level in range(5)] == [
        '1.0', '2.0', '3.0', '4.0', '5.0',
    ]  # fmt: skip


def test_half_of_the_questions_ask_about_the_rating_and_the_others_about_each_other_one_alike():
    rows = _drawn(RatingScale(), 1, 480)
    assert all((row['asked_stars'] == '2') == (row['yes_no'] == 'yes') for row in rows)
    counts = [sum(row['asked_stars'] == stars for row in rows) for stars in '12345']
    assert stats.chisquare(counts, np.asarray([1, 4, 1, 1, 1]) * 60).pvalue > 1e-4


def test_four_stars_and_more_are_liked():
    likes = [_drawn(RatingScale(), level, 1)[0]['like'] for level in range(5)]
    assert likes == ['dislike'] * 3 + ['like'] * 2


def test_half_stars_are_a_scale_of_their_own():
    scale = RatingScale(lowest=0.5, step=0.5)
    assert scale.ratings == (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
    assert scale.levels(np.asarray([0.5, 3.5, np.nan, 5.0], np.float32)).tolist() == [0, 6, -1, 9]
    assert _drawn(scale, 6, 1, noisy=False)[0]['whole_stars'] == '3.5'


@pytest.mark.parametrize('stars', [0, 6, 3.5, -1])
def test_a_rating_off_the_scale_is_named(stars):
    ratings = np.asarray([5, np.nan, stars, 1], np.float32)
    with pytest.raises(ValueError, match=f'event 2 has a rating of {stars:g}, .*set RatingScale.lowest'):
        RatingScale().levels(ratings)


@pytest.mark.parametrize('options', [{'lowest': 5.0}, {'step': 0.0}, {'step': 0.3}])
def test_a_scale_that_its_steps_do_not_make_is_refused(options):
    with pytest.raises(ValueError, match='no whole number of steps'):
        RatingScale(**options)
