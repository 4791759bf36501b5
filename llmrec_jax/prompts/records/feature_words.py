"""Explanations out of reviews: the sentence that speaks of a feature, and the feature's word.

P5 takes both from an aspect-mining toolkit. This is a plain rule in its place: a feature word is one that
several training reviews use and not too many of them; a review's is one that also describes the item, or else
the one most bound to few items; its explanation is the shortest sentence that has the word.
"""

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from llmrec_jax.prompts.records.words import one_line

_WORD = re.compile(r'[^\W\d_]{3,}')
_SENTENCE_END = re.compile(r'(?<=[.!?])\s+')


class Explanation(NamedTuple):
    """One sentence of a review."""

    sentence: str
    feature_word: str


@dataclasses.dataclass(frozen=True)
class FeatureWords:
    """The vocabulary of features; `fit` makes it.

    Attributes:
      boundness: feature word -> the chance that two training reviews with the word are of one item. That of
        'strings' is large, that of 'like' no larger than any two reviews' chance.
      max_words: words of an explanation; longer sentences are none.
    """

    boundness: Mapping[str, float]
    max_words: int = 30

    @classmethod
    def fit(
        cls,
        training_reviews: Iterable[tuple[int, str]],
        *,
        fewest_reviews: int = 5,
        largest_share: float = 0.3,
        max_words: int = 30,
    ) -> 'FeatureWords':
        """Counts words.

        Args:
          training_reviews: item and review; of training events alone, since a word that only test reviews use
            must stay unknown.
          fewest_reviews: reviews that a feature word occurs in.
          largest_share: of all reviews; a word in more says too little.
          max_words: see `FeatureWords`.
        """
        items: dict[str, Counter[int]] = defaultdict(Counter)
        reviews = 0
        for item, review in training_reviews:
            reviews += 1
            for word in set(_words(review)):
                items[word][item] += 1
        bound = {}
        for word, counts in items.items():
            total = counts.total()
            if max(fewest_reviews, 2) <= total <= largest_share * reviews:
                same = sum(count * (count - 1) for count in counts.values())
                bound[word] = same / (total * (total - 1))
        return cls(bound, max_words)

    def explain(self, review: str, about: str) -> Explanation | None:
        """The explanation in a review of an item that `about` describes; None where there is none."""
        described = set(_words(about))
        sentences = [
            sentence
            for sentence in map(one_line, _SENTENCE_END.split(review))
            if sentence and len(sentence.split()) <= self.max_words
        ]
        words = {word for sentence in sentences for word in _words(sentence) if word in self.boundness}
        if not words:
            return None
        feature = min(words, key=lambda word: (word not in described, -self.boundness[word], word))
        speaking = [sentence for sentence in sentences if feature in _words(sentence)]
        return Explanation(min(speaking, key=lambda sentence: len(sentence.split())), feature)


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in ENGLISH_STOP_WORDS]
