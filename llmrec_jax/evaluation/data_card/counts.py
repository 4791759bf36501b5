"""What can be counted of a corpus: histories, popularity, ties, texts, targets that training never saw."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from llmrec_jax.corpora.corpus import Corpus, Items
from llmrec_jax.corpora.splits import MIN_EVENTS, RankingCases, Splits
from llmrec_jax.evaluation.baselines.counts import item_counts

QUANTILES = (0, 10, 25, 50, 75, 90, 99, 100)
# Where the bars of a histogram begin: 1, 2, 3, 5, then in steps of about two.
_BAR_STARTS = np.asarray([1, 2, 3, 5, *(step * 10**power for power in range(1, 9) for step in (1, 2, 5))])
_HEADS = (1, 10)
_CURVE_POINTS = 101
# Names of items that are shown of those that say nothing.
_NAMED = 8


def history_record(corpus: Corpus) -> dict[str, Any]:
    """Lengths of the histories: mean, quantiles, bars of a histogram, and users with too few events."""
    lengths = np.diff(corpus.user_offsets)
    return {
        'mean': float(lengths.mean()),
        'quantiles': _quantiles(lengths),
        'histogram': _bars(lengths),
        'users_with_fewer_than_three_events': int((lengths < MIN_EVENTS).sum()),
    }


def popularity_record(corpus: Corpus) -> dict[str, Any]:
    """How unevenly events fall on items.

    `gini` is 0 where all items have equally many events, and near 1 where a few have all. `curve` is the
    share of events that the most popular share of items has, in hundredths.
    """
    counts = np.bincount(corpus.events.item, minlength=len(corpus.items))
    ascending = np.sort(counts).astype(np.float64)
    n, total = len(ascending), ascending.sum()
    ranks = np.arange(1, n + 1)
    shares = np.concatenate([[0.0], np.cumsum(ascending[::-1])]) / total
    share_of_head = np.interp(np.linspace(0, n, _CURVE_POINTS), np.arange(n + 1), shares)
    return {
        'gini': float((2 * ranks - n - 1) @ ascending / (n * total)),
        'share_of_top_percent': {str(head): float(share_of_head[head]) for head in _HEADS},
        'quantiles': _quantiles(counts),
        'histogram': _bars(counts[counts > 0]),
        'items_without_events': int((counts == 0).sum()),
        'curve': [float(share) for share in share_of_head],
    }


def time_record(corpus: Corpus) -> dict[str, Any]:
    """From when to when, and what time does not tell apart.

    `tied_events_share` counts events whose user has another one at the same time, in whole seconds; a source
    that knows times more finely says so in the provenance. `repeated_items_share` counts events whose user
    had the item before.
    """
    user, time, item = corpus.events.user, corpus.events.timestamp, corpus.events.item
    tied = (user[1:] == user[:-1]) & (time[1:] == time[:-1])
    either = np.zeros(len(user), bool)
    either[1:] |= tied
    either[:-1] |= tied
    pairs = np.sort(user.astype(np.int64) * len(corpus.items) + item)
    return {
        'first': int(time.min()),
        'last': int(time.max()),
        'tied_events_share': float(corpus.provenance.get('tied_events_share', either.mean())),
        'repeated_items_share': float((pairs[1:] == pairs[:-1]).mean()) if len(pairs) > 1 else 0.0,
    }


def text_record(items: Items) -> dict[str, Any]:
    """Which share of the items has each field, and which items have no text at all."""
    fields = {
        'title': _given(items.title),
        'brand': _given(items.brand),
        'categories': np.asarray([any(names) for names in items.categories], bool),
        'description': _given(items.description),
    }
    silent = np.flatnonzero(~np.any(list(fields.values()), axis=0))
    titles = [title for title in items.title if title]
    return {
        'share_with': {
            **{name: float(given.mean()) for name, given in fields.items()},
            'price': float(np.isfinite(items.price).mean()),
        },
        'items_without_text': len(silent),
        'for_example': [items.item_id[row] for row in silent[:_NAMED].tolist()],
        'items_that_share_a_title': len(titles) - len(set(titles)),
    }


def split_record(splits: Splits, n_items: int) -> dict[str, Any]:
    """Cases of each split, and the share whose target no user has in training."""
    in_training = item_counts(splits.train, n_items)
    return {
        'train': {
            'events': len(splits.train.values),
            'items': int((in_training > 0).sum()),
        },
        **{
            name: _cases_record(cases, in_training == 0)
            for name, cases in (('validation', splits.validation), ('test', splits.test))
        },
    }


def _cases_record(cases: RankingCases, cold: Bool[np.ndarray, 'items']) -> dict[str, Any]:
    targets = cold[cases.target]
    return {
        'cases': len(cases),
        'items': len(np.unique(cases.target)),
        'cold_targets': int(targets.sum()),
        'cold_share': float(targets.mean()) if len(cases) else 0.0,
    }


def _given(texts) -> Bool[np.ndarray, 'items']:
    return np.fromiter((bool(text) for text in texts), bool, len(texts))


def _quantiles(values: Int[np.ndarray, 'values']) -> dict[str, float]:
    return {str(one): float(value) for one, value in zip(QUANTILES, np.percentile(values, QUANTILES))}


def _bars(values: Int[np.ndarray, 'values']) -> list[dict[str, Any]]:
    """How many values lie in each range, as far as there are any."""
    place = np.searchsorted(_BAR_STARTS, values, side='right') - 1
    counts = np.bincount(place, minlength=1)
    ends = np.append(_BAR_STARTS[1:], np.iinfo(np.int64).max) - 1
    return [
        {'from': int(_BAR_STARTS[bar]), 'to': int(ends[bar]), 'count': int(count)}
        for bar, count in enumerate(counts)
    ]
