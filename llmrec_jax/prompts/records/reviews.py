"""Records of the families that know what users said: rating, explanation, review, and zero-shot transfer."""

import logging

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.prompts.rating_scale import RatingScale
from llmrec_jax.prompts.records.feature_words import FeatureWords
from llmrec_jax.prompts.records.record_table import Records
from llmrec_jax.prompts.records.words import cut_texts, one_line

LOG = logging.getLogger(__name__)


def rated(corpus: Corpus, rows: Int[np.ndarray, 'chosen'], scale: RatingScale) -> Records:
    """The events at `rows` that have a rating: `user`, `item`, `level`, and `event`, the row in the corpus.

    Raises:
      ValueError: when a rating is not on the scale.
    """
    levels = scale.levels(corpus.events.rating)
    return _rated(corpus, rows[levels[rows] >= 0], levels)


def reviewed(
    corpus: Corpus, rows: Int[np.ndarray, 'chosen'], scale: RatingScale, *, max_characters: int
) -> Records:
    """The rated events at `rows` that have a review, and a headline if any event of the corpus has one.

    To the columns of `rated` come `headline` and `review`.

    Args:
      corpus: where the events are.
      rows: which events.
      scale: of the ratings.
      max_characters: of a review; more are cut off.

    Raises:
      ValueError: when a rating is not on the scale.
    """
    levels = scale.levels(corpus.events.rating)
    headlines, reviews = corpus.events.summary, corpus.events.review
    with_headlines = any(headlines)
    spoken = [
        row
        for row in rows.tolist()
        if levels[row] >= 0 and reviews[row].strip() and (headlines[row].strip() or not with_headlines)
    ]
    silent = int((levels[rows] >= 0).sum()) - len(spoken)
    if silent:
        LOG.warning(
            '%s: %d of %d rated events have an empty review%s and give no record of the family review',
            corpus.name, silent, int((levels[rows] >= 0).sum()), ' or headline' if with_headlines else '',
        )  # fmt: skip
    texts = cut_texts([one_line(reviews[row]) for row in spoken], max_characters, f'{corpus.name}: reviews')
    table = _rated(corpus, np.asarray(spoken, np.int64), levels)
    return Records(
        {**table.columns, 'headline': [one_line(headlines[row]) for row in spoken], 'review': texts}
    )


def explained(
    corpus: Corpus, rows: Int[np.ndarray, 'chosen'], scale: RatingScale, words: FeatureWords
) -> Records:
    """The rated events at `rows` whose review has a sentence that speaks of a feature.

    To the columns of `rated` come `headline`, `explanation` and `feature_word`.

    Raises:
      ValueError: when a rating is not on the scale.
    """
    levels = scale.levels(corpus.events.rating)
    events, items = corpus.events, corpus.items
    with_headlines = any(events.summary)
    chosen, sentences, features = [], [], []
    for row in rows.tolist():
        if levels[row] < 0 or (with_headlines and not events.summary[row].strip()):
            continue
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
    columns = {
        name: [column[row] for row in kept] if isinstance(column, list) else column[kept]
        for name, column in table.columns.items()
    }
    return Records({**columns, 'user': users[kept]})


def _rated(corpus: Corpus, rows: Int[np.ndarray, 'chosen'], levels: Int[np.ndarray, 'events']) -> Records:
    events = corpus.events
    return Records(
        {'user': events.user[rows], 'item': events.item[rows], 'level': levels[rows], 'event': rows}
    )
