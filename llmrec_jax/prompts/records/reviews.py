"""Records of reviews: ratings, headlines, and explanations out of the texts.

P5 takes a review's feature word and sentence from an aspect-mining toolkit. This is a plain rule in its
place: a feature word is one that several training reviews use and not too many of them; a review's is one
that also describes the item, or else the one most bound to few items; its explanation is the shortest
sentence that has the word.
"""

import dataclasses
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.prompts.rating_scale import RatingScale
from llmrec_jax.prompts.records.record_table import Records
from llmrec_jax.prompts.records.words import cut_texts, one_line

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


LOG = logging.getLogger(__name__)


def rated(corpus: Corpus, scale: RatingScale) -> Records:
    """The events that have a rating: `user`, `item`, `level`, and `event`, the row in the corpus.

    Raises:
      ValueError: when a rating is not on the scale.
    """
    levels = scale.levels(corpus.events.rating)
    return _rated(corpus, np.flatnonzero(levels >= 0), levels)


def reviewed(corpus: Corpus, scale: RatingScale, *, max_characters: int) -> Records:
    """The rated events that have a review, and a headline if any event of the corpus has one.

    To the columns of `rated` come `headline` and `review`. Says once how many lack one.

    Args:
      corpus: where the events are.
      scale: of the ratings.
      max_characters: of a review; more are cut off.

    Raises:
      ValueError: when a rating is not on the scale.
    """
    levels = scale.levels(corpus.events.rating)
    headlines, reviews = corpus.events.summary, corpus.events.review
    known = np.flatnonzero(levels >= 0)
    headed = _headed(corpus)
    speaking = [row for row in known.tolist() if reviews[row].strip() and headed[row]]
    if len(speaking) < len(known):
        LOG.warning(
            '%s: %d of %d rated events have an empty review or headline and give no record of reviews',
            corpus.name, len(known) - len(speaking), len(known),
        )  # fmt: skip
    texts = cut_texts(
        [one_line(reviews[row]) for row in speaking],
        max_characters,
        f'{corpus.name}: reviews',
        [f'event {row}' for row in speaking],
    )
    table = _rated(corpus, np.asarray(speaking, np.int64), levels)
    return Records(
        {**table.columns, 'headline': [one_line(headlines[row]) for row in speaking], 'review': texts}
    )


def explained(corpus: Corpus, scale: RatingScale, words: FeatureWords) -> Records:
    """The rated events whose review has a sentence that speaks of a feature.

    To the columns of `rated` come `headline`, `explanation` and `feature_word`.

    Raises:
      ValueError: when a rating is not on the scale.
    """
    levels = scale.levels(corpus.events.rating)
    events, items = corpus.events, corpus.items
    chosen, sentences, features = [], [], []
    for row in np.flatnonzero((levels >= 0) & _headed(corpus)).tolist():
        item = int(events.item[row])
        about = ' '.join((items.title[item], items.brand[item], *items.categories[item]))
        found = words.explain(events.review[row], about)
        if found is not None:
            chosen.append(row)
            sentences.append(found.sentence)
            features.append(found.feature_word)
    table = _rated(corpus, np.asarray(chosen, np.int64), levels)
    headlines = [one_line(events.summary[row]) for row in chosen]
    return Records(
        {**table.columns, 'headline': headlines, 'explanation': sentences, 'feature_word': features}
    )


def _headed(corpus: Corpus) -> Bool[np.ndarray, 'events']:
    """Which events have a headline; all of them in a corpus without any, where no prompt asks for one."""
    there = np.fromiter((bool(text.strip()) for text in corpus.events.summary), bool, len(corpus.events))
    return there if there.any() else ~there


def transfer(table: Records, target: Corpus, source: Corpus) -> Records:
    """Those records of `target`'s events whose user is one of `source`'s too, with the row of the latter.

    Raises:
      ValueError: when the corpora share no user who has a record.
    """
    row_of = {user_id: row for row, user_id in enumerate(source.users.user_id)}
    users = np.asarray(
        [row_of.get(target.users.user_id[user], -1) for user in table.columns['user']], np.int64
    )
    kept = np.flatnonzero(users >= 0)
    if not len(kept):
        raise ValueError(
            f'{target.name} and {source.name} share no user by their user_id, so there is nothing to transfer'
        )
    return Records({**table.take(kept).columns, 'user': users[kept]})


def _rated(corpus: Corpus, rows: Int[np.ndarray, 'chosen'], levels: Int[np.ndarray, 'events']) -> Records:
    events = corpus.events
    return Records(
        {'user': events.user[rows], 'item': events.item[rows], 'level': levels[rows], 'event': rows}
    )
