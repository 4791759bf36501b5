"""Records of the families that know what users said: rating, explanation, review, and zero-shot transfer."""

import logging

import numpy as np
from jaxtyping import Bool, Int

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.prompts.rating_scale import RatingScale
from llmrec_jax.prompts.records.record_table import Records
from llmrec_jax.prompts.records.words import FeatureWords, cut_texts, one_line

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
