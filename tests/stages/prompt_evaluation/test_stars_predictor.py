"""A rating as text and as the mean of the ratings, by the model's own probabilities."""

import numpy as np
import pytest

from llmrec_jax.stages.prompt_evaluation.text_predictors import StarsPredictor, TextPredictor


class Writer(TextPredictor):
    """Reads the same text at every place."""

    def __init__(self):
        pass

    def read(self, answered, place):
        return {'answer': '4.0'}


def test_the_ratings_are_the_tenths_of_the_scale_and_its_whole_stars():
    ratings = StarsPredictor.on(Writer(), (1.0, 5.0)).ratings
    assert (
        len(ratings) == 41 + 5
        and ratings[0] == '1.0'
        and ratings[40] == '5.0'
        and ratings[41:] == tuple('12345')
    )
    assert StarsPredictor.on(Writer(), (0.5, 5.0)).ratings[:2] == ('0.5', '0.6')


def test_the_mean_weighs_ratings_by_their_probability_whatever_their_sum():
    answers = StarsPredictor(Writer(), ('1.0', '2.0', '5'))
    scores = np.log(np.array([[0.1, 0.2, 0.1], [0.0, 0.0, 0.3]]) + 1e-300) - 700.0
    found = [answers.read({'ratings': scores}, place) for place in (0, 1)]
    assert found[0] == {'answer': '4.0', 'expected': pytest.approx((0.1 + 0.4 + 0.5) / 0.4)}
    assert found[1]['expected'] == pytest.approx(5.0)


def test_scores_that_are_no_numbers_are_no_rating():
    answers = StarsPredictor(Writer(), ('1.0',))
    with pytest.raises(ValueError, match='diverged'):
        answers.read({'ratings': np.array([[np.nan]])}, 0)
