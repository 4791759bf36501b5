"""What a split lets training know too early, and whom and what a test meets for the first time."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from llmrec_jax.corpora.clock import has_clock
from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import GIVEN, GIVEN_EVENTS, TEST, TRAIN, VALIDATION, Cut


def split_facts(corpus: Corpus, cut: Cut) -> dict[str, Any]:
    """What stands in the record of the corpus: sizes of the parts, and `overlap`.

    | of `overlap` | is |
    |---|---|
    | `training_later_than_test` | share of the training events later than a test target, a mean over these |
    | `tests_with_later_training` | share of the test targets that some training event is later than |
    | `histories_with_later_events` | share of the test cases whose history holds later events |
    | `cold_users` | share of the test cases whose users training does not know |
    | `cold_items` | share of the test targets that training does not know |

    The first three are None where the corpus has no clock. Leave-last-out leaks by the first two: of the
    users who came early, training knows what the others did later.

    Args:
      corpus: that is split.
      cut: by a rule.
    """
    events, training = corpus.events, cut.roles == TRAIN
    parts = {'train': TRAIN, 'validation': VALIDATION, 'test': TEST, 'given': GIVEN}
    cold = {
        name: _mean(~_occurring(column[training], size)[column[cut.test]])
        for name, column, size in (
            ('users', events.user, len(corpus.users)),
            ('items', events.item, len(corpus.items)),
        )
    }
    later, held = None, None
    if has_clock(corpus):
        later = _later_share(events.timestamp[training], events.timestamp[cut.test])
        held = _histories_with_later_events(corpus, cut)
    return {
        'events_by_part': {name: int(np.count_nonzero(cut.roles == part)) for name, part in parts.items()},
        'asked': {'validation': len(cut.validation), 'test': len(cut.test)},
        'overlap': {
            'training_later_than_test': None if later is None else _mean(later),
            'tests_with_later_training': None if later is None else _mean(later > 0),
            'histories_with_later_events': held,
            'cold_users': cold['users'],
            'cold_items': cold['items'],
        },
    }


def _occurring(values: Int[np.ndarray, 'training'], size: int) -> Bool[np.ndarray, 'size']:
    """Which of the numbers below `size` are among the values."""
    found = np.zeros(size, bool)
    found[values] = True
    return found


def _later_share(
    training: Int[np.ndarray, 'training'], asked: Int[np.ndarray, 'asked']
) -> Float[np.ndarray, 'asked']:
    """Of each time that is asked for, the share of the training times after it; sorts these in place."""
    training.sort()
    after = len(training) - np.searchsorted(training, asked, side='right')
    return after / max(len(training), 1)


def _histories_with_later_events(corpus: Corpus, cut: Cut) -> float:
    if cut.histories != GIVEN_EVENTS:
        return 0.0
    user, times = corpus.events.user, corpus.events.timestamp
    known = np.flatnonzero((cut.roles != VALIDATION) & (cut.roles != TEST))
    newest = np.full(len(corpus.users), np.iinfo(np.int64).min)
    np.maximum.at(newest, user[known], times[known])
    return _mean(newest[user[cut.test]] > times[cut.test])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
