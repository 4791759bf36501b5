"""Baselines of rankings that learn nothing but counts, which are sparse matrices of a training set.

Popularity knows nothing of the user, Markov what comes after what, item-kNN which items go together, and the
category Markov which kind of item comes after which.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.baselines.counts import (
    history_weights,
    interactions,
    item_counts,
    transition_counts,
)
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.evaluation.sparse_ranking import CommonScores, SparseRecommender, batch_rows

Parts = Iterator[tuple[Int[np.ndarray, 'rows'], CommonScores, sp.csr_array | None]]


class Popularity(SparseRecommender):
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

    def parts(self, cases: RankingCases) -> Parts:
        """See `SparseRecommender.parts`."""
        yield np.arange(len(cases)), CommonScores(self._counts), None


# Score of the most popular item where no transition is known. Small enough that popularity orders what the
# transitions leave equal and overturns none of them: a transition 19 items back still weighs 0.5^19 = 2e-6.
BACK_OFF = 1e-6


class DecayedMarkov(SparseRecommender):
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
        return self._of_transitions(histories).toarray() + self._back_off

    def parts(self, cases: RankingCases) -> Parts:
        """See `SparseRecommender.parts`."""
        common = CommonScores(self._back_off)
        for rows, histories in batch_rows(cases):
            yield rows, common, self._of_transitions(histories)

    def _of_transitions(self, histories: Sequences) -> sp.csr_array:
        return sp.csr_array(history_weights(histories, self.n_items, self._decay) @ self._transitions)


class Markov(DecayedMarkov):
    """Counts of the transitions from the last item alone; popularity where they say nothing."""

    def __init__(self, train: Sequences, n_items: int):
        """Counts.

        Args:
          train: training histories.
          n_items: size of the catalogue.
        """
        super().__init__(train, n_items, decay=0.0)


# Similarities up to which those of all items are held: some gigabytes. There are as many as pairs of a user's
# items over all users, and as pairs of items, at most.
_PAIRS_HELD = 200_000_000
# Where more of them differ from 0, a matrix that holds them all is multiplied sooner.
_SPARSE_SHARE = 0.02
# Below every similarity, of which none is less than one over the number of users; above what rounding leaves.
_ROUNDING = 1e-10


class ItemKnn(SparseRecommender):
    """Cosine of items over users, summed over the whole history.

    With X the 0/1 matrix of users and items, the similarity of items i != j is
    (X^T X)_ij / sqrt((X^T X)_ii (X^T X)_jj); an item is no neighbour of its own. Where there are too many
    similarities to hold, each history is multiplied by the two factors one after the other.
    """

    def __init__(self, train: Sequences, n_items: int):
        """Computes all similarities that are not 0, unless they are too many.

        Args:
          train: training histories.
          n_items: size of the catalogue.
        """
        self.n_items = n_items
        matrix = interactions(train, n_items)
        norms = np.sqrt(matrix.sum(axis=0))
        unit = matrix @ sp.diags_array(np.divide(1.0, norms, out=np.zeros(n_items), where=norms > 0))
        self._unit = sp.csr_array(unit)
        self._with_itself = (norms > 0).astype(np.float64)
        self._similarity = None
        all_pairs = n_items**2
        if min((np.diff(self._unit.indptr).astype(np.float64) ** 2).sum(), all_pairs) <= _PAIRS_HELD:
            similarity = sp.csr_array(unit.T @ unit)
            similarity.setdiag(0.0)
            similarity.eliminate_zeros()
            is_full = all_pairs <= _PAIRS_HELD and similarity.nnz > _SPARSE_SHARE * all_pairs
            self._similarity = similarity.toarray() if is_full else similarity

    def scores(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        return self._summed(histories).toarray()

    def parts(self, cases: RankingCases) -> Parts:
        """See `SparseRecommender.parts`."""
        common = CommonScores(np.zeros(self.n_items))
        for rows, histories in batch_rows(cases):
            yield rows, common, self._summed(histories)

    def _summed(self, histories: Sequences) -> sp.csr_array:
        weights = history_weights(histories, self.n_items, decay=1.0)
        if self._similarity is not None:
            return sp.csr_array(weights @ self._similarity)
        scores = sp.csr_array((weights @ self._unit.T) @ self._unit)
        scores = sp.csr_array(scores - weights @ sp.diags_array(self._with_itself))
        scores.data[scores.data < _ROUNDING] = 0.0
        return scores


def leaf_of_items(categories: Sequence[tuple[str, ...]]) -> Int[np.ndarray, 'items']:
    """The number of each item's leaf.

    A leaf is a whole path, because names as 'Sets' stand below several branches. Items without categories
    have one leaf together, the unknown.
    """
    number = {path: leaf for leaf, path in enumerate(dict.fromkeys(categories))}
    return np.fromiter((number[path] for path in categories), np.int64, len(categories))


class CategoryMarkov(SparseRecommender):
    """Scores an item by P(its leaf | the leaf of the last item) times P(the item | its leaf).

    The first is counted from transitions between leaves in training, the second from the training events of
    the leaf's items, both with one added to every count. Before any item, an item's smoothed share of all
    events takes its place. Nothing is as large as items times items: of leaves, only the pairs that occur are
    held.
    """

    def __init__(self, train: Sequences, categories: Sequence[tuple[str, ...]]):
        """Counts.

        Args:
          train: training histories.
          categories: the path of each item from the root to the leaf, empty where unknown.
        """
        self.n_items = len(categories)
        self._leaf = leaf_of_items(categories)
        self._n_leaves = int(self._leaf.max(initial=-1)) + 1
        self._transitions = transition_counts(
            Sequences(self._leaf[train.values], train.offsets), self._n_leaves
        )
        counts = item_counts(train, self.n_items) + 1
        of_leaf = np.bincount(self._leaf, counts, self._n_leaves)
        self._within_leaf = counts / of_leaf[self._leaf]
        self._leaf_shares = of_leaf / counts.sum()

    def scores(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        leaves, place = np.unique(self._last_leaves(histories), return_inverse=True)
        return np.stack([self._after(leaf) for leaf in leaves.tolist()])[place]

    def parts(self, cases: RankingCases) -> Parts:
        """See `SparseRecommender.parts`."""
        last = self._last_leaves(cases.histories)
        for leaf in np.unique(last).tolist():
            yield np.flatnonzero(last == leaf), CommonScores(self._after(leaf)), None

    def _last_leaves(self, histories: Sequences) -> Int[np.ndarray, 'cases']:
        """The leaf of each history's last item; -1 before any."""
        leaves = np.full(len(histories), -1, np.int64)
        known = np.flatnonzero(histories.lengths)
        leaves[known] = self._leaf[histories.values[histories.offsets[1:][known] - 1]]
        return leaves

    def _after(self, leaf: int) -> Float[np.ndarray, 'items']:
        chances = self._leaf_shares
        if leaf >= 0:
            counts = self._transitions[[leaf]].toarray()[0] + 1
            chances = counts / counts.sum()
        return chances[self._leaf] * self._within_leaf


COUNTING_ITEMS = {
    'popularity': Popularity,
    'item_knn': ItemKnn,
    'markov': Markov,
    'decayed_markov': DecayedMarkov,
}
CATEGORY_MARKOV = 'category_markov'
BASELINES = (*COUNTING_ITEMS, CATEGORY_MARKOV)


def fit_baselines(
    train: Sequences,
    n_items: int,
    categories: Sequence[tuple[str, ...]] = (),
    names: Sequence[str] = BASELINES,
) -> dict[str, DenseRecommender]:
    """Baselines by their names in the results, fitted on the training histories.

    Args:
      train: training histories.
      n_items: size of the catalogue.
      categories: as in `CategoryMarkov`, which is left out where no item has any.
      names: which.

    Raises:
      ValueError: when the training histories are empty or name an item outside the catalogue.
    """
    possible = [name for name in names if name != CATEGORY_MARKOV or any(categories)]
    return {name: fit_baseline(name, train, n_items, categories) for name in possible}


def fit_baseline(
    name: str, train: Sequences, n_items: int, categories: Sequence[tuple[str, ...]] = ()
) -> DenseRecommender:
    """One of `BASELINES`, fitted on the training histories.

    Args:
      name: in the results.
      train: training histories.
      n_items: size of the catalogue.
      categories: as in `CategoryMarkov`.

    Raises:
      ValueError: further, when categories are needed and no item has any.
    """
    if not len(train.values):
        raise ValueError('the baselines have no training events to count')
    if train.values.min() < 0 or train.values.max() >= n_items:
        outside = int(train.values.min()) if train.values.min() < 0 else int(train.values.max())
        raise ValueError(f'the training histories name item {outside}, but the catalogue has {n_items} items')
    if name != CATEGORY_MARKOV:
        return COUNTING_ITEMS[name](train, n_items)
    if not any(categories):
        raise ValueError(
            f'{CATEGORY_MARKOV!r} counts categories, and no item of the corpus has any: choose one of '
            f'{", ".join(COUNTING_ITEMS)}'
        )
    return CategoryMarkov(train, categories)
