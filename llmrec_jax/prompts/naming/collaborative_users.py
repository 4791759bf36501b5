"""Users called by the cluster of those who buy the same items."""

import dataclasses

import numpy as np
import scipy.sparse as sp

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.prompts.naming.collaborative import spectral_labels


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
