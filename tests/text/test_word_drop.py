import numpy as np
import pytest

from llmrec_jax.text.item_text import drop_words


def test_words_are_dropped_but_never_all():
    texts = ['one two three four five six seven eight nine ten'] * 300
    found = drop_words(texts, 0.15, 0)
    kept = np.mean([len(text.split()) for text in found]) / 10
    assert abs(kept - 0.85) < 0.03
    assert all(text.split() == [word for word in texts[0].split() if word in text.split()] for text in found)
    assert drop_words(['word', '- word'], 0.999, 0) == ['word', '- word']
    assert drop_words(texts, 0.15, 0) == found
    with pytest.raises(ValueError, match='probability 1.0: it must lie in'):
        drop_words(texts, 1.0, 0)
