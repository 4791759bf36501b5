"""The floor that knows nothing of the user."""

import numpy as np
from jaxtyping import Float

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.evaluation.floors.counts import item_counts
from llmrec_jax.evaluation.recommender import DenseRecommender


class Popularity(DenseRecommender):
    """Scores an item by how often it occurs in the training histories, the same for every user."""

    def __init__(self, train: Sequences, n_items: int):
        """Counts.

        Args:
          train: training histories.
          n_items: size of the catalogue.
        """
        self.n_items = n_items
        self._counts = item_counts(train, n_items)

    def scores(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        return np.tile(self._counts, (len(histories), 1))
