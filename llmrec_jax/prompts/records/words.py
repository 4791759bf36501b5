"""The texts that rows are looked up in: names, titles, brands, prices."""

import logging
import math
from collections.abc import Mapping, Sequence

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.prompts.array_ops import Array, ArrayOps

LOG = logging.getLogger(__name__)

UNKNOWN = {'title': 'unknown title', 'brand': 'unknown brand', 'price': 'unknown price'}
USER_NAMES = ('source_id', 'profile', 'user')


def one_line(text: str) -> str:
    """White space brought to single blanks."""
    return ' '.join(text.split())


def cut_texts(texts: Sequence[str], limit: int, what: str, whose: Sequence[str]) -> list[str]:
    """Each text's first `limit` characters; says once how many were longer, and whose is the longest."""
    lengths = [len(text) for text in texts]
    longer = sum(length > limit for length in lengths)
    if longer:
        longest = max(range(len(texts)), key=lengths.__getitem__)
        LOG.warning(
            '%s: %d of %d are longer than %d characters and are cut there; the longest, that of %s, has %d',
            what, longer, len(texts), limit, whose[longest], lengths[longest],
        )  # fmt: skip
    return [text[:limit].rstrip() for text in texts]


def word_tables(
    corpus: Corpus,
    item_names: Sequence[str],
    user_names: Sequence[str],
    *,
    called: str = 'source_id',
    max_title: int = 200,
) -> dict[str, list[str]]:
    """What the forms of P5 look up: 'item', 'title', 'brand', 'price' by item; 'user', 'user_name' by user.

    Args:
      corpus: where the words come from; what is unknown is said to be so.
      item_names: of the naming scheme.
      user_names: of the naming scheme.
      called: what `user_name` is, in place of the display names that published corpora no longer have:
        'source_id', the source's own id, 'profile', what is known of the user (several may have the same), or
        'user', the same as `user`, which halves what a model must learn by heart.
      max_title: characters of a title; more are cut off.

    Raises:
      ValueError: when the names are not one an item and one a user, or `called` is none of these.
    """
    items, users = corpus.items, corpus.users
    for what, names, rows in (('items', item_names, len(items)), ('users', user_names, len(users))):
        if len(names) != rows:
            raise ValueError(f'{corpus.name}: {len(names)} names for {rows} {what}')
    if called not in USER_NAMES:
        raise ValueError(f'user_name can be {" or ".join(USER_NAMES)}, not {called!r}')
    profiles = users.profile if called == 'profile' else [''] * len(users)
    titles = cut_texts(
        [one_line(title) for title in items.title], max_title, f'{corpus.name}: titles', items.item_id
    )
    return {
        'item': list(item_names),
        'title': [title or UNKNOWN['title'] for title in titles],
        'brand': [one_line(brand) or UNKNOWN['brand'] for brand in items.brand],
        'price': [
            UNKNOWN['price'] if math.isnan(price) else f'{price:.2f}' for price in items.price.tolist()
        ],
        'user': list(user_names),
        'user_name': list(user_names)
        if called == 'user'
        else [one_line(profile) or user_id for user_id, profile in zip(users.user_id, profiles)],
    }


def absent_fields(corpus: Corpus) -> Mapping[str, str]:
    """The fields that no prompt over `corpus` can fill, and why."""
    events, items = corpus.events, corpus.items
    reasons = {}
    for field, there in (
        ('title', any(title.strip() for title in items.title)),
        ('brand', any(brand.strip() for brand in items.brand)),
        ('price', any(not math.isnan(price) for price in items.price.tolist())),
    ):
        if not there:
            reasons[field] = f'no item has a {field}'
    if not any(not math.isnan(stars) for stars in events.rating.tolist()):
        reasons |= dict.fromkeys(('stars', 'whole_stars', 'asked_stars', 'like'), 'no event has a rating')
    if not any(text.strip() for text in events.summary):
        reasons['headline'] = 'no event has a headline'
    if not any(text.strip() for text in events.review):
        reasons |= dict.fromkeys(('review', 'explanation', 'feature_word'), 'no event has a review')
    return reasons


def tables_for(ops: ArrayOps, tables: Mapping[str, Sequence[str]]) -> dict[str, Array]:
    """The tables of one side: `array_ops.NUMPY` or `tf_prompts.TENSORFLOW`."""
    return {name: ops.texts(texts) for name, texts in tables.items()}
