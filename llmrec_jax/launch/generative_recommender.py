"""A trained generative retriever as a recommender: batches of users in, ranked items out."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, Literal

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jaxtyping import Array, Int

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.decoding.beams import Beams
from llmrec_jax.evaluation.recommendations import Recommendations, from_ranked_lists
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.semantic_ids.trie import Trie
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.mesh import over_devices_of, place


@dataclasses.dataclass(frozen=True, eq=False)
class GenerativeRecommender:
    """Beam search over the catalogue for every user of a materialised split.

    Attributes:
      model: with the search as its `decode_fn`; its beam must be at least the `k` asked for.
      params: of the network.
      trie: of the catalogue.
      examples: the split's `inputs`, and `user` to find a case's row by.
      input_length: tokens of a full input.
      length_buckets: shorter lengths that a batch of short inputs may be padded to.
      batch_size: users decoded at once; a multiple of the devices.
    """

    model: EncoderDecoderModel
    params: Any
    trie: Trie
    examples: ColumnStore
    input_length: int
    length_buckets: tuple[int, ...] = ()
    batch_size: int = 256

    def __post_init__(self):
        check_users_at_once(self.batch_size)

    def with_params(self, params: Any) -> 'GenerativeRecommender':
        """The same with other parameters; nothing is compiled again."""
        return dataclasses.replace(self, params=params)

    def recommend(
        self, cases: RankingCases, k: int, *, seen_items: Literal['kept', 'removed']
    ) -> Recommendations:
        """The best `k` items of each case.

        Raises:
          ValueError: when the beam is narrower than `k`, or the split holds no example of a case's user.
        """
        search = self.model.decode_fn
        if search.beam_size < k:
            raise ValueError(f'a beam of {search.beam_size} cannot rank {k} items: raise beam_size')
        items = np.full((len(cases), k), -1, np.int64)
        scores = np.full((len(cases), k), -np.inf, np.float64)
        for rows, beams in self.beams(cases, seen_items=seen_items):
            items[rows] = np.asarray(beams.items)[: len(rows), :k]
            scores[rows] = np.asarray(beams.scores)[: len(rows), :k]
        return from_ranked_lists(items, scores, cases.target)

    def beams(
        self, cases: RankingCases, *, seen_items: Literal['kept', 'removed']
    ) -> Iterator[tuple[Int[np.ndarray, 'users'], Beams]]:
        """Case rows and their beams, batch by batch; a last batch is filled up with repeats.

        Every process of a run decodes its own share of a batch and gets the beams of all.
        """
        example_rows = self._rows_of(cases)
        lengths = self.examples.lengths('inputs')[example_rows]
        order = np.argsort(lengths, kind='stable')
        buckets = sorted({*self.length_buckets, self.input_length})
        history, _ = cases.histories.last(int(cases.histories.lengths.max()))
        for start in range(0, len(cases), self.batch_size):
            rows = order[start : start + self.batch_size]
            filled = np.resize(rows, self.batch_size)
            length = next(bucket for bucket in buckets if bucket >= lengths[rows].max())
            tokens = self.examples.batch(example_rows[filled], {'inputs': length})
            batch = self.model.convert_features(tokens)
            seen = history[filled].astype(np.int32) if seen_items == 'removed' else None
            batch = place(batch, self._over_devices)
            seen = None if seen is None else place({'seen': seen}, self._over_devices)['seen']
            yield rows, _on_every_process(_search(self.model, self.params, batch, self.trie, seen))

    def _rows_of(self, cases: RankingCases) -> Int[np.ndarray, 'cases']:
        users = self.examples.scalars('user')
        order = np.argsort(users, kind='stable')
        place = np.minimum(np.searchsorted(users[order], cases.user), len(order) - 1)
        rows = order[place]
        absent = np.flatnonzero(users[rows] != cases.user)
        if len(absent):
            raise ValueError(
                f'{self.examples.directory} holds no example of user {int(cases.user[absent[0]])}: '
                'run the tasks stage again'
            )
        return rows

    @functools.cached_property
    def _over_devices(self) -> NamedSharding:
        """Users dealt out to all devices, in the mesh that the parameters lie in."""
        return over_devices_of(self.params)


def check_users_at_once(batch_size: int) -> None:
    """Checks that a batch of users can be dealt out to all devices.

    Raises:
      ValueError: when it cannot.
    """
    if batch_size % jax.device_count():
        raise ValueError(
            f'{batch_size} users at once do not divide over {jax.device_count()} devices: '
            'change Recipe.decoding_batch_size'
        )


def _on_every_process(beams: Beams) -> Beams:
    if jax.process_count() == 1:
        return beams
    return multihost_utils.process_allgather(beams, tiled=True)


@functools.partial(jax.jit, static_argnames='model')
def _search(
    model: EncoderDecoderModel,
    params: Any,
    batch: dict[str, Int[Array, 'batch length']],
    trie: Trie,
    seen: Int[Array, 'batch history'] | None,
) -> Beams:
    # `seen` is left out, not None, because an unconstrained search takes no filters at all.
    filters = {} if seen is None else {'seen': seen}
    return model.recommend(params, batch, trie, **filters)
