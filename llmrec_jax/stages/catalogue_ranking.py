"""A trained sequential model as what ranks a catalogue: batches of histories in, ranked items out."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import partitioning
from jax.sharding import Mesh
from jaxtyping import Array, Float, Float32, Int, PyTree

from llmrec_jax import marks
from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.protocol import SEEN_ITEMS, one_position
from llmrec_jax.evaluation.recommendations import ABSENT, Recommendations
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel, padded_left
from llmrec_jax.retrieval.retriever import Requests
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.stages.length_batches import length_batches
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.training.mesh import LogicalRules, batch_sharding, check_batch, place, replicated


@dataclasses.dataclass(frozen=True, eq=False)
class CatalogueRecommender:
    """Ranks the whole catalogue after each history, and gives the two sides of its scores as vectors.

    Users are dealt out over the mesh's data axis, and items, where the table's rows are, over its model
    axis. Histories are taken shortest first, so that little is padded; a last batch is filled up with
    repeats.

    Attributes:
      model: of the catalogue.
      params: of the network.
      mesh: that the parameters lie in.
      rules: logical axis rules.
      max_items: the newest items of a history that are read.
      batch_size: users at once.
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

    def with_params(self, params: PyTree[Array]) -> 'CatalogueRecommender':
        """The same with other parameters; nothing is compiled again."""
        return dataclasses.replace(self, params=params)

    def for_users(self, user_ids: Sequence[str]) -> 'CatalogueRecommender':
        """The same: who asks makes no difference, only the history."""
        del user_ids
        return self

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """The `k` best items of each case, and its target's rank in the whole catalogue.

        Raises:
          ValueError: when there are no cases, `seen_items` has no such position, or a score is NaN.
        """
        k = min(k, self.model.n_items)
        items = np.full((len(cases), k), ABSENT, np.int64)
        scores = np.full((len(cases), k), -np.inf, np.float64)
        ranks = np.zeros(len(cases), np.int64)
        for rows, found in self._ranked(cases, k, seen_items):
            ranks[rows], items[rows], scores[rows] = (part[: len(rows)] for part in found)
        # The device's top_k fills up with items of score -inf where fewer are left.
        return Recommendations(np.where(np.isneginf(scores), ABSENT, items), scores, ranks)

    def target_ranks(self, cases: RankingCases, k: int, *, seen_items: str) -> Int[np.ndarray, 'cases']:
        """The targets' ranks as `recommend` has them, without the lists; `k` cuts nothing off."""
        del k
        ranks = np.zeros(len(cases), np.int64)
        for rows, (found,) in self._ranked(cases, 0, seen_items):
            ranks[rows] = found[: len(rows)]
        return ranks

    def __call__(self, requests: Requests) -> Float32[np.ndarray, 'requests dim']:
        """The state that each history ends in, for `VectorRetriever`; of an empty one it is zero.

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
        states = np.empty((len(requests), self._width), np.float32)
        with jax.set_mesh(self.mesh), partitioning.axis_rules(self.rules):
            for rows, filled, width in self._batches(lengths):
                cut = tokens[filled, self.max_items - width :]
                placed = place({'histories': cut}, batch_sharding(self.mesh, self.rules))['histories']
                found = _states(self.model, self.params, placed, self.mesh, self.rules)
                states[rows] = jax.device_get(found)[: len(rows)]
        return states

    def item_vectors(self) -> Float32[np.ndarray, 'items dim']:
        """The vectors of all items, whose inner product with a state is its score of them."""
        with jax.set_mesh(self.mesh), partitioning.axis_rules(self.rules):
            vectors = _item_vectors(self.model, self.params, self.mesh, self.rules)
        return np.asarray(jax.device_get(vectors), np.float32)

    def _ranked(
        self, cases: RankingCases, k: int, seen_items: str
    ) -> Iterator[tuple[Int[np.ndarray, 'users'], tuple[np.ndarray, ...]]]:
        one_position('seen_items', seen_items, SEEN_ITEMS)
        if not len(cases):
            raise ValueError('no cases to recommend for')
        longest = 0
        if seen_items == 'removed':
            # A power of two, so that few widths are compiled.
            longest = 1 << (int(cases.histories.lengths.max()) - 1).bit_length()
        placement = batch_sharding(self.mesh, self.rules)
        with jax.set_mesh(self.mesh), partitioning.axis_rules(self.rules):
            for rows, filled, width in self._batches(np.minimum(cases.histories.lengths, self.max_items)):
                batch = cases.select(filled)
                features = {
                    'histories': padded_left(_tokens(batch.histories, width)),
                    'seen': _tokens(batch.histories, longest),
                    'target': batch.target.astype(np.int32),
                }
                ranked = _rank(self.model, self.params, place(features, placement), k, self.mesh, self.rules)
                found = jax.device_get(ranked)
                if np.isnan(found[0]).any():
                    raise ValueError(
                        f'the scores of user {int(batch.user[np.isnan(found[0]).argmax()])} are NaN'
                    )
                yield rows, found

    def _batches(
        self, lengths: Int[np.ndarray, 'histories']
    ) -> Iterator[tuple[Int[np.ndarray, 'rows'], Int[np.ndarray, 'batch'], int]]:
        return length_batches(lengths, self.batch_size, (*self.length_buckets, self.max_items))

    @functools.cached_property
    def _width(self) -> int:
        return jax.eval_shape(self.model.item_vectors, self.params).shape[1]


class TowerScores(DenseRecommender):
    """The model's own score of every item, as numbers on the host.

    Attributes:
      n_items: size of the catalogue.
    """

    def __init__(self, recommender: CatalogueRecommender):
        """Computes the items' side."""
        self._tower = recommender
        self._vectors = recommender.item_vectors()
        self.n_items = len(self._vectors)

    def scores(self, histories: Sequences) -> Float32[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        return self._tower(Requests(histories)) @ self._vectors.T


@dataclasses.dataclass(frozen=True)
class NetworkRetrieval:
    """How a run answers histories with a network that reads them as items.

    Attributes:
      parameters: what it answers with, of a `SequentialRecommenderModel`.
      max_items: the newest items of a history that are read.
      batch_size: users at once.
      length_buckets: shorter lengths that a batch of short histories may be padded to; each costs a
        compilation.
    """

    parameters: Parameters
    max_items: int
    batch_size: int = marks.without_effect(256)
    length_buckets: tuple[int, ...] = marks.without_effect(())

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `rank.Retrieval`."""
        return self.parameters.network.reads

    def check(self, run: Run) -> None:
        """See `rank.Retrieval`."""
        del run
        trainer = self.parameters.trainer
        check_batch(trainer.mesh.build(), trainer.logical_axis_rules, self.batch_size)

    def without_params(self, run: Run) -> dict[str, Any]:
        """What a recommender over such a network is built with, parameters still to come."""
        trainer = self.parameters.trainer
        return {
            'model': self.parameters.network.model(run),
            'params': None,
            'mesh': trainer.mesh.build(),
            'rules': trainer.logical_axis_rules,
            'max_items': self.max_items,
            'batch_size': self.batch_size,
            'length_buckets': tuple(self.length_buckets),
        }


class CatalogueRetrieval(NetworkRetrieval):
    """How a run ranks a whole catalogue; attributes as in `NetworkRetrieval`; see `rank.Retrieval`."""

    def blank(self, run: Run) -> CatalogueRecommender:
        """See `rank.Retrieval`."""
        return CatalogueRecommender(**self.without_params(run))


# Mesh and rules are arguments of the programs, because what a trace reads of them is no part of its key.
@functools.partial(jax.jit, static_argnames=('model', 'k', 'mesh', 'rules'))
def _rank(
    model: SequentialRecommenderModel,
    params: PyTree[Array],
    features: dict[str, Array],
    k: int,
    mesh: Mesh,
    rules: LogicalRules,
) -> tuple[Array, ...]:
    del rules
    scores = model.scores(params, features['histories'])
    scores = partitioning.with_sharding_constraint(scores, ('batch', 'vocab'))
    ranked = _ranks_and_best(scores, features['seen'], features['target'], k)
    return jax.lax.with_sharding_constraint(ranked, replicated(mesh))


@functools.partial(jax.jit, static_argnames=('model', 'mesh', 'rules'))
def _states(
    model: SequentialRecommenderModel,
    params: PyTree[Array],
    histories: Int[Array, 'batch width'],
    mesh: Mesh,
    rules: LogicalRules,
) -> Float[Array, 'batch dim']:
    del rules
    return jax.lax.with_sharding_constraint(model.states(params, histories), replicated(mesh))


@functools.partial(jax.jit, static_argnames=('model', 'mesh', 'rules'))
def _item_vectors(
    model: SequentialRecommenderModel, params: PyTree[Array], mesh: Mesh, rules: LogicalRules
) -> Float[Array, 'items dim']:
    del rules
    return jax.lax.with_sharding_constraint(model.item_vectors(params), replicated(mesh))


def _ranks_and_best(
    scores: Float[Array, 'batch rows'],
    seen: Int[Array, 'batch longest'],
    target: Int[Array, 'batch'],
    k: int,
) -> tuple[Array, ...]:
    """The target's rank (0 where it is removed), and the k best items and their scores where k is not 0.

    A rank is a float, so that it can be NaN where a score is.
    """
    batch, rows = scores.shape
    # Tokens to columns; padding goes past the last one, where it is dropped.
    columns = jnp.where(seen == 0, rows, seen - 1)
    scores = scores.at[jnp.arange(batch)[:, None], columns].set(-jnp.inf, mode='drop')
    of_target = jnp.take_along_axis(scores, target[:, None], axis=1)
    rank = jnp.sum(scores >= of_target, axis=1).astype(jnp.float32)
    rank = jnp.where(jnp.isneginf(of_target[:, 0]), 0.0, rank)
    rank = jnp.where(jnp.any(jnp.isnan(scores), axis=1), jnp.nan, rank)
    if not k:
        return (rank,)
    best, items = jax.lax.top_k(scores, k)
    return rank, items, best


def _tokens(histories: Sequences, width: int) -> Int[np.ndarray, 'rows width']:
    """The last `width` items of each history as tokens, oldest first, padded on the right."""
    items, _ = histories.last(width)
    return (items + 1).astype(np.int32)
