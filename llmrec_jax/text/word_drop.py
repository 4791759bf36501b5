"""Texts that lack some of their words: a second view of an item (UniSRec, section 2.2.2)."""

from collections.abc import Sequence

import numpy as np


def drop_words(texts: Sequence[str], probability: float, seed: int) -> list[str]:
    """Takes each word out with `probability`; a text that would lose all its letters and digits stays
    whole.

    Args:
      texts: words are what white space parts.
      probability: of dropping a word.
      seed: of the draws.

    Raises:
      ValueError: when the probability is outside [0, 1).
    """
    if not 0 <= probability < 1:
        raise ValueError(f'words cannot be dropped with probability {probability}: it must lie in [0, 1)')
    rng = np.random.default_rng(seed)
    found = []
    for text in texts:
        words = text.split()
        kept = rng.random(len(words)) >= probability
        left = ' '.join(word for word, stays in zip(words, kept) if stays)
        found.append(left if any(map(str.isalnum, left)) else text)
    return found
