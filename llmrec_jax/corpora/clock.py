"""Whether a corpus knows when things happened, or only in which order."""

import numpy as np

from llmrec_jax.corpora.corpus import Corpus

# What the provenance of a source without a clock has under 'timestamps'.
POSITION = 'position in the history'


def has_clock(corpus: Corpus) -> bool:
    """Whether timestamps are seconds, so that events of different users can be put in order.

    They are not where the source says so, nor where every history is counted through from the same number.
    """
    if corpus.provenance.get('timestamps') == POSITION or not len(corpus.events):
        return False
    user, times = corpus.events.user, corpus.events.timestamp
    ahead = times - (np.arange(len(user)) - corpus.user_offsets[user])
    return bool(ahead.min() != ahead.max())
