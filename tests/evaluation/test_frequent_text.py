import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.evaluation.baselines.fitted import FrequentText


def test_the_most_frequent_text_answers_everything_and_a_key_has_its_own():
    texts = ['great', 'great ', 'too loud', 'too loud', 'too loud', 'fine', 'great', 'great']
    keys = ['string', 'string', 'amp', 'amp', 'amp', 'case', 'amp', 'case']
    floor = FrequentText.fit(texts, keys)
    assert floor.text == 'great'
    # 'case' has two texts once each, of which 'fine' comes first by its letters.
    assert floor.answers(['string', 'amp', 'case', 'unheard of']) == ['great', 'too loud', 'fine', 'great']
    assert FrequentText.fit(texts).answers(['amp']) == ['great']


@settings(max_examples=30)
@given(st.lists(st.sampled_from('abc'), min_size=1), st.randoms())
def test_the_order_of_training_changes_nothing(texts, random):
    found = FrequentText.fit(texts)
    assert texts.count(found.text) == max(map(texts.count, texts))
    random.shuffle(texts)
    assert FrequentText.fit(texts) == found


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match='no training texts'):
        FrequentText.fit([])
    with pytest.raises(ValueError, match='1 keys to 2 training texts'):
        FrequentText.fit(['a', 'b'], ['x'])
