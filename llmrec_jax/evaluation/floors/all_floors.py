"""The floors of every report."""

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.evaluation.floors.item_knn import ItemKnn
from llmrec_jax.evaluation.floors.markov import DecayedMarkov, Markov
from llmrec_jax.evaluation.floors.popularity import Popularity
from llmrec_jax.evaluation.recommender import DenseRecommender

FLOORS = {
    'popularity': Popularity,
    'item_knn': ItemKnn,
    'markov': Markov,
    'decayed_markov': DecayedMarkov,
}


def fit_floors(train: Sequences, n_items: int) -> dict[str, DenseRecommender]:
    """Every floor, by its name in the results, fitted on the training histories.

    Raises:
      ValueError: when the training histories are empty or name an item outside the catalogue.
    """
    if not len(train.values):
        raise ValueError('the floors have no training events to count')
    if train.values.min() < 0 or train.values.max() >= n_items:
        outside = int(train.values.min()) if train.values.min() < 0 else int(train.values.max())
        raise ValueError(f'the training histories name item {outside}, but the catalogue has {n_items} items')
    return {name: floor(train, n_items) for name, floor in FLOORS.items()}
