"""Small corpora to write prompts over."""

import numpy as np

from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users


def corpus_of(
    histories: list[list[int]],
    titles: list[str],
    *,
    reviews: list[str] | None = None,
    stars: list[float] | None = None,
    profiles: list[str] | None = None,
) -> Corpus:
    """A corpus whose users have these items in this order; every text it needs is given or made up."""
    lengths = [len(history) for history in histories]
    count = sum(lengths)
    reviews = [f'Review number {row}.' for row in range(count)] if reviews is None else reviews
    return Corpus(
        name='test/corpus',
        items=Items(
            [f'B{row}' for row in range(len(titles))],
            titles,
            [f'brand {row % 3}' for row in range(len(titles))],
            [('root', 'leaf')] * len(titles),
            [''] * len(titles),
            np.arange(len(titles), dtype=np.float32),
        ),
        users=Users([f'U{row}' for row in range(len(histories))], profiles or [''] * len(histories)),
        events=Events(
            np.repeat(np.arange(len(histories)), lengths),
            np.concatenate([np.asarray(history, np.int64) for history in histories]),
            np.concatenate([60 * np.arange(length) for length in lengths]),
            np.asarray([1 + row % 5 for row in range(count)] if stars is None else stars, np.float32),
            [f'headline {row}' if review else '' for row, review in enumerate(reviews)],
            reviews,
        ),
        provenance={},
    )
