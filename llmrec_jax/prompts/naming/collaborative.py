"""Items called by their place in a tree of clusters that are bought together.

Hua et al. (2023), 'How to index item IDs for recommendation foundation models', collaborative indexing:
spectral clustering of the graph whose edges count the users who had both items in training, again within
every cluster that is too large. Items that share buyers share the beginning of their names. Users are
called by the cluster of those who buy the same items.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import Sequences

# Up to this size all eigenvectors of a graph are computed at once, which is faster than iterating.
_DENSE = 400


@dataclasses.dataclass(frozen=True)
class CollaborativeNames:
    """Names such as 'item_3_14_2': cluster, cluster within it, number within that.

    Attributes:
      clusters: into how many parts a cluster that is too large is split.
      largest_leaf: items that need no further split.
      most_levels: splits one below the other; what is still too large is then cut into equal parts.
      seed: of the eigenvectors' start and of k-means.
      item_prefix: before the path.
    """

    clusters: int = 20
    largest_leaf: int = 100
    most_levels: int = 6
    seed: int = 0
    item_prefix: str = 'item_'
    leaks: ClassVar[bool] = False

    def __post_init__(self):
        if self.clusters < 2 or self.largest_leaf < 1 or self.most_levels < 1:
            raise ValueError(
                f'CollaborativeNames: clusters={self.clusters} must be at least 2, largest_leaf='
                f'{self.largest_leaf} and most_levels={self.most_levels} at least 1'
            )

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.ItemNaming`."""
        names = [''] * len(corpus.items)
        graph = co_occurrence(train, len(corpus.items))
        self._name(graph, np.arange(len(corpus.items)), (), names)
        return names

    def _name(
        self, graph: sp.csr_array, items: Int[np.ndarray, 'part'], path: tuple[int, ...], names: list[str]
    ) -> None:
        if len(items) <= self.largest_leaf:
            for number, item in enumerate(items.tolist()):
                names[item] = self.item_prefix + '_'.join(map(str, (*path, number)))
            return
        for label, part in enumerate(self._parts(graph, items, len(path))):
            self._name(graph, part, (*path, label), names)

    def _parts(
        self, graph: sp.csr_array, items: Int[np.ndarray, 'part'], level: int
    ) -> list[Int[np.ndarray, 'smaller']]:
        inner = graph[items][:, items]
        linked = inner.sum(axis=1) > 0
        parts = []
        if level < self.most_levels and linked.sum() > self.clusters:
            among = items[linked]
            labels = spectral_labels(inner[linked][:, linked], self.clusters, self.seed)
            parts = [among[labels == label] for label in range(self.clusters) if (labels == label).any()]
            parts += [items[~linked]] if not linked.all() else []
        if len(parts) < 2:
            # Nothing tells these items apart: most bought together first, in equal parts.
            order = items[np.argsort(-inner.sum(axis=1), kind='stable')]
            parts = np.array_split(order, max(-(-len(items) // self.largest_leaf), 2))
        return parts


def co_occurrence(train: Sequences, n_items: int) -> sp.csr_array:
    """[items, items]: how many users had both in training; 0 on the diagonal."""
    users = np.repeat(np.arange(len(train)), train.lengths)
    ones = np.ones(len(users))
    matrix = sp.csr_array((ones, (users, train.values)), shape=(len(train), n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    graph = sp.csr_array(matrix.T @ matrix)
    graph.setdiag(0.0)
    graph.eliminate_zeros()
    return graph


def spectral_labels(graph: sp.csr_array, clusters: int, seed: int) -> Int[np.ndarray, 'nodes']:
    """Spectral clustering (Ng, Jordan and Weiss, 2001) of a graph in which every node has an edge."""
    scale = sp.diags_array(1 / np.sqrt(graph.sum(axis=1)))
    normalised = sp.csr_array(scale @ graph @ scale)
    vectors = _leading_eigenvectors(normalised, clusters, seed)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return KMeans(clusters, n_init=3, random_state=seed).fit_predict(unit).astype(np.int64)


def _leading_eigenvectors(matrix: sp.csr_array, count: int, seed: int) -> Float[np.ndarray, 'nodes count']:
    nodes = matrix.shape[0]
    if nodes <= max(_DENSE, 2 * count):
        return np.linalg.eigh(matrix.toarray())[1][:, -count:]
    start = np.random.default_rng(seed).normal(size=nodes)
    return eigsh(matrix, k=count, which='LA', v0=start)[1]


@dataclasses.dataclass(frozen=True)
class CollaborativeUsers:
    """Names such as 'user_3_14': cluster, and number within it.

    What Hua et al. (2023) do for items: a name's beginning is shared, so that what is learned of one user
    serves others of like taste. Users who share no item with another come last, in a cluster of their own.

    Attributes:
      clusters: into how many parts the users are split.
      seed: of the eigenvectors' start and of k-means.
      user_prefix: before the cluster.
    """

    clusters: int = 8
    seed: int = 0
    user_prefix: str = 'user_'

    def __post_init__(self):
        if self.clusters < 2:
            raise ValueError(f'CollaborativeUsers.clusters={self.clusters} must be at least 2')

    def user_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.UserNaming`.

        Raises:
          ValueError: when fewer users share items than there are clusters.
        """
        graph = shared_purchases(train, len(corpus.items))
        linked = graph.sum(axis=1) > 0
        if linked.sum() <= self.clusters:
            raise ValueError(
                f'CollaborativeUsers.clusters={self.clusters}: only {linked.sum()} users of {corpus.name} '
                'have an item in common with another in training; name users by RandomNumbers'
            )
        labels = np.full(len(train), self.clusters)
        labels[linked] = spectral_labels(graph[linked][:, linked], self.clusters, self.seed)
        taken = np.zeros(self.clusters + 1, np.int64)
        names = []
        for label in labels.tolist():
            names.append(f'{self.user_prefix}{label}_{taken[label]}')
            taken[label] += 1
        return names


def shared_purchases(train: Sequences, n_items: int) -> sp.csr_array:
    """[users, users]: items that both had in training, each split among its buyers; 0 on the diagonal.

    With the users' own scaling in `spectral_labels` this is the bipartite graph of users and items as
    Dhillon (2001), 'Co-clustering documents and words using bipartite spectral graph partitioning',
    normalises it: that both bought what all buy says little.
    """
    users = np.repeat(np.arange(len(train)), train.lengths)
    bought = sp.csr_array((np.ones(len(users)), (users, train.values)), shape=(len(train), n_items))
    bought.sum_duplicates()
    bought.data[:] = 1.0
    buyers = np.maximum(bought.sum(axis=0), 1.0)
    graph = sp.csr_array((bought / buyers) @ bought.T)
    graph.setdiag(0.0)
    graph.eliminate_zeros()
    return graph
