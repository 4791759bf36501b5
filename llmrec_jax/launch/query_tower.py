"""The two sides of a trained model as vectors: those who ask on one, all items on the other."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from flax.linen import partitioning
from jax.sharding import Mesh
from jaxtyping import Array, Float32, PyTree

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel, padded_left
from llmrec_jax.retrieval.requests import Requests
from llmrec_jax.stages.length_batches import length_batches
from llmrec_jax.training.mesh import LogicalRules, batch_sharding, check_batch, place, replicated


@dataclasses.dataclass(frozen=True, eq=False)
class QueryTower:
    """Encodes requests by their histories, for `retrieval.vector_retriever.VectorRetriever`.

    Requests are dealt out over the mesh's data axis, shortest history first; a last batch is filled up with
    repeats.

    Attributes:
      model: of the catalogue.
      params: of the network.
      mesh: that the parameters lie in.
      rules: logical axis rules.
      max_items: the newest items of a history that are read.
      batch_size: requests at once.
      length_buckets: shorter lengths that a batch of short histories may be padded to.

    Raises:
      ValueError: when a batch does not divide over the mesh.
    """

    model: SequentialRecommenderModel
    params: PyTree[Array]
    mesh: Mesh
    rules: LogicalRules
    max_items: int
    batch_size: int = 256
    length_buckets: tuple[int, ...] = ()

    def __post_init__(self):
        check_batch(self.mesh, self.rules, self.batch_size)

    def __call__(self, requests: Requests) -> Float32[np.ndarray, 'requests dim']:
        """The state that each history ends in; of an empty one it is zero.

        Raises:
          ValueError: when there are no histories, or one names an item outside the catalogue.
        """
        histories = requests.the_histories('the query tower')
        known = (histories.values >= 0) & (histories.values < self.model.n_items)
        if not known.all():
            raise ValueError(
                f'the histories name item {histories.values[np.argmin(known)]}, but the catalogue has '
                f'{self.model.n_items} items'
            )
        items, lengths = histories.last(self.max_items)
        tokens = padded_left((items + 1).astype(np.int32))
        widths = (*self.length_buckets, self.max_items)
        placement = batch_sharding(self.mesh, self.rules)
        states = np.empty((len(requests), self._width), np.float32)
        with jax.set_mesh(self.mesh), partitioning.axis_rules(self.rules):
            for rows, filled, width in length_batches(lengths, self.batch_size, widths):
                cut = tokens[filled, self.max_items - width :]
                placed = place({'histories': cut}, placement)['histories']
                states[rows] = jax.device_get(self._states(self.params, placed))[: len(rows)]
        return states

    def item_vectors(self) -> Float32[np.ndarray, 'items dim']:
        """The vectors of all items, whose inner product with a state is its score of them."""
        with jax.set_mesh(self.mesh), partitioning.axis_rules(self.rules):
            vectors = jax.jit(self.model.item_vectors, out_shardings=replicated(self.mesh))(self.params)
        return np.asarray(jax.device_get(vectors), np.float32)

    @functools.cached_property
    def _width(self) -> int:
        return jax.eval_shape(self.model.item_vectors, self.params).shape[1]

    @functools.cached_property
    def _states(self) -> Any:
        return jax.jit(self.model.states, out_shardings=replicated(self.mesh))


class TowerScores(DenseRecommender):
    """The model's own score of every item, as numbers on the host.

    Attributes:
      n_items: size of the catalogue.
    """

    def __init__(self, tower: QueryTower):
        """Computes the items' side."""
        self._tower = tower
        self._vectors = tower.item_vectors()
        self.n_items = len(self._vectors)

    def scores(self, histories: Sequences) -> Float32[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        return self._tower(Requests(histories)) @ self._vectors.T
