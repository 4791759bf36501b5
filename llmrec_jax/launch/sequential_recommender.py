"""A trained sequential recommender as a recommender: batches of histories in, the ranked catalogue out."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import partitioning
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PyTree

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.evaluation.recommendations import ABSENT, Recommendations
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel, padded_left
from llmrec_jax.stages.length_batches import length_batches
from llmrec_jax.training.mesh import LogicalRules, batch_sharding, check_batch, place, replicated


@dataclasses.dataclass(frozen=True, eq=False)
class CatalogueRanking:
    """Ranks the whole catalogue after each history, on the devices of a mesh.

    Users are dealt out over the mesh's data axis, and items, where the table's rows are, over its model
    axis. Histories are taken shortest first, so that little is padded; a last batch is filled up with
    repeats.

    Attributes:
      model: of the catalogue.
      mesh: that the parameters lie in.
      rules: logical axis rules.
      max_items: the newest items of a history that are read.
      batch_size: users at once.
      length_buckets: shorter lengths that a batch of short histories may be padded to.

    Raises:
      ValueError: when a batch does not divide over the mesh.
    """

    model: SequentialRecommenderModel
    mesh: Mesh
    rules: LogicalRules
    max_items: int
    batch_size: int = 256
    length_buckets: tuple[int, ...] = ()

    def __post_init__(self):
        check_batch(self.mesh, self.rules, self.batch_size)

    def recommend(
        self, params: PyTree[Array], cases: RankingCases, k: int, *, seen_items: str
    ) -> Recommendations:
        """The `k` best items of each case, and its target's rank in the whole catalogue.

        Raises:
          ValueError: when there are no cases, `seen_items` has no such position, or a score is NaN.
        """
        k = min(k, self.model.n_items)
        items = np.full((len(cases), k), ABSENT, np.int64)
        scores = np.full((len(cases), k), -np.inf, np.float64)
        ranks = np.zeros(len(cases), np.int64)
        for rows, found in self._batches(params, cases, k, seen_items):
            ranks[rows], items[rows], scores[rows] = (part[: len(rows)] for part in found)
        # The device's top_k fills up with items of score -inf where fewer are left.
        return Recommendations(np.where(np.isneginf(scores), ABSENT, items), scores, ranks)

    def target_ranks(
        self, params: PyTree[Array], cases: RankingCases, *, seen_items: str
    ) -> Int[np.ndarray, 'cases']:
        """What `recommend` says of the targets' ranks, without the lists."""
        ranks = np.zeros(len(cases), np.int64)
        for rows, (found,) in self._batches(params, cases, 0, seen_items):
            ranks[rows] = found[: len(rows)]
        return ranks

    def _batches(
        self, params: PyTree[Array], cases: RankingCases, k: int, seen_items: str
    ) -> Iterator[tuple[Int[np.ndarray, 'users'], tuple[np.ndarray, ...]]]:
        if seen_items not in SEEN_ITEMS:
            raise ValueError(f'seen_items is {seen_items!r}; it must be one of {SEEN_ITEMS}')
        if not len(cases):
            raise ValueError('no cases to recommend for')
        lengths = np.minimum(cases.histories.lengths, self.max_items)
        widths = (*self.length_buckets, self.max_items)
        longest = 0
        if seen_items == 'removed':
            # A power of two, so that few widths are compiled.
            longest = 1 << (int(cases.histories.lengths.max()) - 1).bit_length()
        placement = batch_sharding(self.mesh, self.rules)
        with jax.set_mesh(self.mesh), partitioning.axis_rules(self.rules):
            for rows, filled, width in length_batches(lengths, self.batch_size, widths):
                batch = cases.select(filled)
                features = {
                    'histories': padded_left(_tokens(batch.histories, width)),
                    'seen': _tokens(batch.histories, longest),
                    'target': batch.target.astype(np.int32),
                }
                found = jax.device_get(self._ranked(params, place(features, placement), k))
                if np.isnan(found[0]).any():
                    raise ValueError(
                        f'the scores of user {int(batch.user[np.isnan(found[0]).argmax()])} are NaN'
                    )
                yield rows, found

    @functools.cached_property
    def _ranked(self) -> Any:
        def ranked(params: Any, features: Any, k: int) -> Any:
            scores = self.model.scores(params, features['histories'])
            scores = partitioning.with_sharding_constraint(scores, ('batch', 'vocab'))
            return _ranked(scores, features['seen'], features['target'], k)

        return jax.jit(ranked, static_argnums=2, out_shardings=replicated(self.mesh))


@dataclasses.dataclass(frozen=True, eq=False)
class SequentialRecommender:
    """What the evaluator asks of a trained model; see `evaluation.recommender.Recommender`.

    Attributes:
      ranking: of the catalogue.
      params: of the network.
    """

    ranking: CatalogueRanking
    params: PyTree[Array]

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """See `CatalogueRanking.recommend`."""
        return self.ranking.recommend(self.params, cases, k, seen_items=seen_items)


def _ranked(
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
