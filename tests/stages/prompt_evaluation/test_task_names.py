import pytest

from llmrec_jax.stages.prompt_evaluation.evaluation_task import tasks_of

MIXTURES = {
    'p5_shop_eval': ['p5_shop_rating_1_6', 'p5_shop_rating_1_10'],
    'p5_shop_zero_shot': ['p5_shop_rating_1_10'],
}
TASKS = ['p5_shop_rating_1_6', 'p5_shop_rating_1_10', 'p5_shop_direct_5_8']


def test_a_name_means_a_mixture_or_a_task():
    assert tasks_of('p5_shop_eval', MIXTURES, TASKS) == ('p5_shop_rating_1_6', 'p5_shop_rating_1_10')
    assert tasks_of('p5_shop_direct_5_8', MIXTURES, TASKS) == ('p5_shop_direct_5_8',)


def test_an_unknown_name_is_told_the_nearest_and_all():
    with pytest.raises(ValueError) as error:
        tasks_of('p5_shop_evl', MIXTURES, TASKS)
    message = str(error.value)
    assert "did you mean 'p5_shop_eval'" in message
    assert all(name in message for name in (*MIXTURES, *TASKS))


def test_an_unknown_name_where_there_is_nothing():
    with pytest.raises(ValueError, match='Mixtures: none. Tasks: none'):
        tasks_of('p5', {}, [])
