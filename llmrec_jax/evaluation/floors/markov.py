"""The floors that know what comes after what."""

import numpy as np
from jaxtyping import Float

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.evaluation.floors.counts import history_weights, item_counts, transition_counts
from llmrec_jax.evaluation.recommender import DenseRecommender

# Score of the most popular item where no transition is known. Small enough that popularity orders what the
# transitions leave equal and overturns none of them: a transition 19 items back still weighs 0.5^19 = 2e-6.
BACK_OFF = 1e-6


class DecayedMarkov(DenseRecommender):
    """Counts of the transitions from every item of the history; `lag` items before the last weigh decay^lag.

    Where the transitions leave items equal, or say nothing, popularity decides.
    """

    def __init__(self, train: Sequences, n_items: int, decay: float = 0.5):
        """Counts.

        Args:
          train: training histories.
          n_items: size of the catalogue.
          decay: weight of an item relative to the one after it.

        Raises:
          ValueError: when `decay` is not in 0..1.
        """
        if not 0 <= decay <= 1:
            raise ValueError(f'DecayedMarkov.decay is {decay}; it must lie in 0..1')
        self.n_items = n_items
        self._decay = decay
        self._transitions = transition_counts(train, n_items)
        counts = item_counts(train, n_items)
        self._back_off = BACK_OFF * counts / max(counts.max(initial=0.0), 1.0)

    def scores(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        weights = history_weights(histories, self.n_items, self._decay)
        return (weights @ self._transitions).toarray() + self._back_off


class Markov(DecayedMarkov):
    """Counts of the transitions from the last item alone; popularity where they say nothing."""

    def __init__(self, train: Sequences, n_items: int):
        """Counts.

        Args:
          train: training histories.
          n_items: size of the catalogue.
        """
        super().__init__(train, n_items, decay=0.0)
