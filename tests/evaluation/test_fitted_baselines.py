import numpy as np
import pytest

from llmrec_jax.evaluation.answer_kinds.words import Like, Sentence, Stars
from llmrec_jax.evaluation.baselines.fitted import FrequentText, RatingBaselines, TextBaselines
from llmrec_jax.evaluation.baselines.rating_means import Ratings, rating_baselines


def of_texts(kind, fitted, targets, items):
    item = np.asarray(items)
    return kind.of_fitted(fitted, targets, np.zeros_like(item), item)


def test_rating_floors_are_judged_as_a_model_is():
    train = Ratings(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([5.0, 4.0, 3.0]), 2, 2)
    fitted = RatingBaselines(rating_baselines(train))
    estimates = Stars().of_fitted(fitted, ['5.0', '1'], np.array([1, 0]), np.array([1, -1]))
    assert estimates.keys() == {'global_mean', 'item_mean', 'user_mean', 'user_item_mean'}
    # The mean of all is 4, of user 0 it is 4.5, of user 1 it is 3.
    assert estimates['global_mean'].metrics()['mae'] == pytest.approx((1 + 3) / 2)
    assert estimates['user_mean'].metrics()['mae'] == pytest.approx((2 + 3.5) / 2)
    assert estimates['global_mean'].metrics()['parse_rate'] == 1.0
    unknown = Stars().of_fitted(fitted.without_items(), ['5.0', '1'], np.array([1, 0]), np.array([1, 0]))
    assert unknown['item_mean'].metrics() == unknown['global_mean'].metrics()


def test_the_majority_is_right_as_often_as_it_occurs():
    fitted = TextBaselines(FrequentText.fit(['like', 'like', 'dislike'], [0, 0, 1]))
    estimates = of_texts(Like(), fitted, ['like', 'dislike', 'like', 'dislike'], [1, 1, 0, 2])
    assert estimates['majority'].metrics()['accuracy'] == 0.5
    assert estimates['majority_of_item'].metrics()['accuracy'] == 0.5
    assert of_texts(Like(), fitted, ['dislike'], [1])['majority_of_item'].metrics()['accuracy'] == 1


def test_the_most_frequent_sentence_is_judged_by_bleu():
    fitted = TextBaselines(FrequentText.fit(['it works very well'] * 2 + ['too loud for me'], [0, 0, 1]))
    estimates = of_texts(Sentence(), fitted, ['it works very well', 'too loud for me'], [0, 1])
    assert estimates['most_frequent_sentence'].metrics()['bleu1'] == pytest.approx(50)
    assert estimates['most_frequent_sentence_of_item'].metrics()['bleu4'] == pytest.approx(100)
    without = of_texts(Sentence(), fitted.without_items(), ['loud'], [0])
    assert without.keys() == {'most_frequent_sentence'}
