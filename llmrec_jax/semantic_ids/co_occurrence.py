"""Vectors of items by what they occur with in training histories: codes of them carry collaborative signal.

Positive pointwise mutual information of items that stand near one another, and its singular vectors (Levy
and Goldberg, 2014, of words).
"""

import dataclasses

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32
from sklearn.decomposition import TruncatedSVD

from llmrec_jax.corpora.splits import Sequences


@dataclasses.dataclass(frozen=True)
class CoOccurrence:
    """How training histories become item vectors.

    Attributes:
      dim: width of a vector; at most one less than the items.
      window: two items of a history count as near where so many steps at most lie between them.
      seed: of the randomised singular value decomposition.

    Raises:
      ValueError: when a number is below 1.
    """

    dim: int = 128
    window: int = 9
    seed: int = 0

    def __post_init__(self):
        for name in ('dim', 'window'):
            if getattr(self, name) < 1:
                raise ValueError(f'CoOccurrence.{name}={getattr(self, name)} must be at least 1')

    def vectors(self, train: Sequences, n_items: int) -> Float32[np.ndarray, 'items dim']:
        """Vectors of unit length; zero for an item that occurs with no other.

        Args:
          train: training histories, oldest item first.
          n_items: size of the catalogue.
        """
        information = positive_pmi(near_counts(train, n_items, self.window))
        dim = min(self.dim, n_items - 1)
        if dim < 1 or not information.nnz:
            return np.zeros((n_items, max(dim, 1)), np.float32)
        svd = TruncatedSVD(dim, n_iter=7, random_state=self.seed)
        found = svd.fit_transform(information)
        # Of U S the square root of S: the split of a symmetric matrix between its two sides.
        found /= np.sqrt(np.maximum(svd.singular_values_, 1e-12))
        norms = np.linalg.norm(found, axis=1, keepdims=True)
        occurs = np.asarray(information.sum(axis=1)).reshape(-1, 1) > 0
        return np.where(occurs, found / np.maximum(norms, 1e-12), 0.0).astype(np.float32)


def near_counts(train: Sequences, n_items: int, window: int) -> sp.csr_array:
    """[items, items], symmetric: 1 / distance summed over pairs of one history at most `window` apart.

    An item is not near itself.

    Args:
      train: histories.
      n_items: size of the catalogue.
      window: the largest distance.
    """
    users = np.repeat(np.arange(len(train)), train.lengths)
    total = sp.csr_array((n_items, n_items), dtype=np.float64)
    for distance in range(1, window + 1):
        same = users[distance:] == users[:-distance]
        left, right = train.values[:-distance][same], train.values[distance:][same]
        apart = left != right
        weights = np.full(int(apart.sum()), 1.0 / distance)
        pairs = sp.csr_array((weights, (left[apart], right[apart])), shape=(n_items, n_items))
        total = total + pairs + pairs.T
    total.sum_duplicates()
    return sp.csr_array(total)


def positive_pmi(counts: sp.csr_array) -> sp.csr_array:
    """`max(0, log(n_ij n / (n_i n_j)))` where there are counts."""
    pairs = counts.tocoo()
    of_items = np.asarray(counts.sum(axis=1)).reshape(-1)
    rows, columns = pairs.coords
    information = np.log(pairs.data * of_items.sum() / (of_items[rows] * of_items[columns]))
    found = sp.csr_array((np.maximum(information, 0.0), (rows, columns)), shape=counts.shape)
    found.eliminate_zeros()
    return found


def joined(
    *parts: tuple[float, Float[np.ndarray, '_ _']],
) -> Float32[np.ndarray, 'items dim']:
    """Vectors of several sources side by side, each scaled to unit length and multiplied by its weight.

    Squared distances of what is joined are the weighted sums of the sources'.

    Args:
      *parts: weight and vectors of each source; those of weight 0 are left out.

    Raises:
      ValueError: when nothing is left, or the sources do not have one row an item.
    """
    kept = [(weight, vectors) for weight, vectors in parts if weight]
    if not kept:
        raise ValueError('all sources of the codes have weight 0: give one of them more')
    rows = [len(vectors) for _, vectors in kept]
    if len(set(rows)) > 1:
        raise ValueError(f'the sources of the codes have {rows} rows: they were made of different corpora')
    scaled = []
    for weight, vectors in kept:
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled.append(weight * np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0))
    return np.concatenate(scaled, axis=1).astype(np.float32)
