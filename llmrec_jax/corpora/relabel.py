"""Random rows for items and users, so that an index says nothing about when or where it first appeared."""

import dataclasses

import numpy as np

from llmrec_jax.corpora.corpus import Corpus, Events


def relabel(corpus: Corpus, seed: int | None) -> Corpus:
    """Moves every item and every user to a random row; each user's sequence of items stays as it was.

    Published ids that follow the order of first appearance leak: the next item is often the largest id seen
    so far plus one, test items included (the P5 leak).

    Args:
      corpus: with rows in any order.
      seed: of the permutations, kept in the provenance as `relabel_seed`; None keeps the rows as they are.
    """
    provenance = {**corpus.provenance, 'relabel_seed': seed}
    if seed is None:
        return dataclasses.replace(corpus, provenance=provenance)
    rng = np.random.default_rng(seed)
    item_order = rng.permutation(len(corpus.items))
    user_order = rng.permutation(len(corpus.users))
    new_item, new_user = np.argsort(item_order), np.argsort(user_order)
    user = new_user[corpus.events.user]
    rows = np.argsort(user, kind='stable')
    moved = corpus.events.take(rows)
    return Corpus(
        name=corpus.name,
        items=corpus.items.take(item_order),
        users=corpus.users.take(user_order),
        events=Events(
            user[rows], new_item[moved.item], moved.timestamp, moved.rating, moved.summary, moved.review
        ),
        provenance=provenance,
    )
