"""The floor that knows which items go together, and nothing of their order."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.evaluation.floors.counts import history_weights, interactions
from llmrec_jax.evaluation.recommender import DenseRecommender


class ItemKnn(DenseRecommender):
    """Cosine of items over users, summed over the whole history.

    With X the 0/1 matrix of users and items, the similarity of items i != j is
    (X^T X)_ij / sqrt((X^T X)_ii (X^T X)_jj); an item is no neighbour of its own.
    """

    def __init__(self, train: Sequences, n_items: int):
        """Computes all similarities that are not 0.

        Args:
          train: training histories.
          n_items: size of the catalogue.
        """
        self.n_items = n_items
        matrix = interactions(train, n_items)
        norms = np.sqrt(matrix.sum(axis=0))
        unit = matrix @ sp.diags_array(np.divide(1.0, norms, out=np.zeros(n_items), where=norms > 0))
        similarity = sp.csr_array(unit.T @ unit)
        similarity.setdiag(0.0)
        similarity.eliminate_zeros()
        self._similarity = similarity

    def scores(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        return (history_weights(histories, self.n_items, decay=1.0) @ self._similarity).toarray()
