"""Explanations out of reviews: the sentence that speaks of a feature, and the feature's word.

P5 takes both from an aspect-mining toolkit. This is a plain rule in its place: a feature word is one that
several training reviews use and not too many of them; a review's is the one that also describes the item, or
else the most common; its explanation is the shortest sentence that has the word.
"""

import dataclasses
import re
from collections import Counter
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
    """The vocabulary of features, and how many training reviews use each word; `fit` makes it.

    Attributes:
      counts: feature word -> training reviews that have it.
      max_words: words of an explanation; longer sentences are none.
    """

    counts: Mapping[str, int]
    max_words: int = 30

    @classmethod
    def fit(
        cls,
        training_reviews: Iterable[str],
        *,
        fewest_reviews: int = 3,
        largest_share: float = 0.3,
        max_words: int = 30,
    ) -> 'FeatureWords':
        """Counts words.

        Args:
          training_reviews: of training events alone: a word that only test reviews use must stay unknown.
          fewest_reviews: reviews that a feature word occurs in.
          largest_share: of all reviews; a word in more says too little.
          max_words: see `FeatureWords`.
        """
        counts: Counter[str] = Counter()
        reviews = 0
        for review in training_reviews:
            reviews += 1
            counts.update(set(_words(review)))
        most = largest_share * reviews
        kept = {word: count for word, count in counts.items() if fewest_reviews <= count <= most}
        return cls(kept, max_words)

    def explain(self, review: str, about: str) -> Explanation | None:
        """The explanation in a review of an item that `about` describes; None where there is none."""
        described = set(_words(about))
        sentences = [
            sentence
            for sentence in map(one_line, _SENTENCE_END.split(review))
            if sentence and len(sentence.split()) <= self.max_words
        ]
        words = {word for sentence in sentences for word in _words(sentence) if word in self.counts}
        if not words:
            return None
        feature = min(words, key=lambda word: (word not in described, -self.counts[word], word))
        speaking = [sentence for sentence in sentences if feature in _words(sentence)]
        return Explanation(min(speaking, key=lambda sentence: len(sentence.split())), feature)


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in ENGLISH_STOP_WORDS]
