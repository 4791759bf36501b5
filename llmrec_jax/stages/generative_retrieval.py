"""A trained generative retriever as a recommender: histories in, ranked items out."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jaxtyping import Array, Int, PyTree

from llmrec_jax import marks
from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.decoding.beam_search import Beams, invalid_rate
from llmrec_jax.evaluation.recommendations import Recommendations, from_beams, from_ranked_lists
from llmrec_jax.models.generative_model import GenerativeModel
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import TokenLayout, encode_histories
from llmrec_jax.semantic_ids.trie import Trie
from llmrec_jax.stages.corpus import USER_IDS
from llmrec_jax.stages.length_batches import length_batches
from llmrec_jax.stages.networks import GenerativeNetwork, Parameters, all_reads
from llmrec_jax.stages.semantic_ids import CODE_TABLE, trie_of
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.mesh import over_devices_of, place

SeenItems = Literal['kept', 'removed']


@dataclasses.dataclass(frozen=True, eq=False)
class GenerativeRecommender:
    """Beam search over the catalogue for whoever is asked about.

    Attributes:
      model: with the search as its `decode_fn`; its beam must be at least the `k` asked for.
      params: of the network.
      trie: of the catalogue.
      table: the items' codes.
      layout: of tokens.
      user_ids: what the users of cases are called, by their row in the corpus.
      max_items: the newest items of a history that the input shows.
      input_length: tokens of a full input.
      length_buckets: shorter lengths that a batch of short inputs may be padded to.
      batch_size: users decoded at once; a multiple of the devices.
    """

    model: GenerativeModel
    params: PyTree[Array]
    trie: Trie
    table: CodeTable
    layout: TokenLayout
    user_ids: Sequence[str]
    max_items: int
    input_length: int
    length_buckets: tuple[int, ...] = ()
    batch_size: int = 256

    def with_params(self, params: PyTree[Array]) -> 'GenerativeRecommender':
        """The same with other parameters; nothing is compiled again."""
        return dataclasses.replace(self, params=params)

    def for_users(self, user_ids: Sequence[str]) -> 'GenerativeRecommender':
        """The same for users that the corpus need not know; row `i` of cases is then called `user_ids[i]`."""
        return dataclasses.replace(self, user_ids=user_ids)

    def searching(self, beam_size: int, temperature: float = 1.0) -> 'GenerativeRecommender':
        """See `searched.BeamRecommender`."""
        search = dataclasses.replace(self.model.decode_fn, beam_size=beam_size, temperature=temperature)
        return dataclasses.replace(self, model=dataclasses.replace(self.model, decode_fn=search))

    def recommend(self, cases: RankingCases, k: int, *, seen_items: SeenItems) -> Recommendations:
        """The best `k` items of each case.

        Raises:
          ValueError: when the beam is narrower than `k`.
        """
        search = self.model.decode_fn
        if search.beam_size < k:
            raise ValueError(
                f'a beam of {search.beam_size} cannot rank {k} items: raise SemanticIdSearch.beam_size'
            )
        return from_beams(self.beams(cases, seen_items=seen_items), cases.target, k)

    def target_ranks(self, cases: RankingCases, k: int, *, seen_items: SeenItems) -> Int[np.ndarray, 'cases']:
        """See `rank.TrainedRecommender`."""
        return self.recommend(cases, k, seen_items=seen_items).target_rank

    def beams(
        self, cases: RankingCases, *, seen_items: SeenItems
    ) -> Iterator[tuple[Int[np.ndarray, 'users'], Beams]]:
        """Case rows and their beams, batch by batch; a last batch is filled up with repeats.

        Every process of a run decodes its own share of a batch and gets the beams of all.
        """
        users = [self.user_ids[row] for row in cases.user.tolist()]
        histories = [cases.histories[row] for row in range(len(cases))]
        inputs = encode_histories(users, histories, self.table, self.layout, self.max_items)
        examples = ColumnStore.in_memory({'inputs': inputs})
        lengths = examples.lengths('inputs')
        widths = (*self.length_buckets, self.input_length)
        history, _ = cases.histories.last(int(cases.histories.lengths.max()))
        for rows, filled, width in length_batches(lengths, self.batch_size, widths):
            batch = self.model.convert_features(examples.batch(filled, {'inputs': width}))
            batch = place(batch, self._over_devices)
            seen = None
            if seen_items == 'removed':
                seen = place({'seen': history[filled].astype(np.int32)}, self._over_devices)['seen']
            yield rows, _on_every_process(_search(self.model, self.params, batch, self.trie, seen))

    def invalid_share_and_ranks(
        self, cases: RankingCases, *, constrained: bool
    ) -> tuple[float, Int[np.ndarray, 'cases']]:
        """What the search finds with the trie or without it (TIGER, section 4.5), seen items kept.

        Returns:
          The share of the beam's slots without an item; and the rank of each target among the slots that hold
          one, 0 where it is in none.
        """
        search = dataclasses.replace(self.model.decode_fn, constrained=constrained)
        asked = dataclasses.replace(self, model=dataclasses.replace(self.model, decode_fn=search))
        total, ranks = 0.0, np.zeros(len(cases), np.int64)
        for rows, beams in asked.beams(cases, seen_items='kept'):
            total += float(np.asarray(invalid_rate(beams))[: len(rows)].sum())
            items, scores = (np.asarray(part)[: len(rows)] for part in (beams.items, beams.scores))
            found = from_ranked_lists(items.astype(np.int64), scores.astype(np.float64), cases.target[rows])
            ranks[rows] = found.target_rank
        return total / len(cases), ranks

    @functools.cached_property
    def _over_devices(self) -> NamedSharding:
        """Users dealt out to all devices, in the mesh that the parameters lie in."""
        return over_devices_of(self.params)


@dataclasses.dataclass(frozen=True)
class SemanticIdNetwork(GenerativeNetwork):
    """An encoder-decoder that reads and writes the run's semantic IDs; attributes as there."""

    # What was evaluated before it had a class of its own stays valid.
    FINGERPRINT_TAG: ClassVar = 'EncoderDecoderNetwork'
    codes: ClassVar = CODE_TABLE


@dataclasses.dataclass(frozen=True)
class GenerativeRetrieval:
    """How a run answers histories by semantic IDs; see `rank.Retrieval`.

    Attributes:
      parameters: what it answers with.
      layout: of tokens.
      max_items: the newest items of a history that the input shows.
      input_length: tokens of a full input.
      batch_size: users decoded at once.
      length_buckets: shorter lengths that a batch of short inputs may be padded to; each costs a compilation.
    """

    parameters: Parameters
    layout: TokenLayout
    max_items: int
    input_length: int
    batch_size: int = marks.without_effect(256)
    length_buckets: tuple[int, ...] = marks.without_effect(())

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `rank.Retrieval`."""
        return (USER_IDS, *all_reads(self.parameters.network))

    def blank(self, run: Run) -> GenerativeRecommender:
        """See `rank.Retrieval`."""
        table = run[self.parameters.network.codes]
        return GenerativeRecommender(
            model=self.parameters.network.model(run),
            params=None,
            trie=trie_of(table, self.layout),
            table=table,
            layout=self.layout,
            user_ids=run[USER_IDS],
            max_items=self.max_items,
            input_length=self.input_length,
            length_buckets=self.length_buckets,
            batch_size=self.batch_size,
        )

    def check(self, run: Run) -> None:
        """See `rank.Retrieval`."""
        del run
        check_users_at_once(self.batch_size)


def check_users_at_once(batch_size: int) -> None:
    """Checks that a batch of users can be dealt out to all devices.

    Raises:
      ValueError: when it cannot.
    """
    if batch_size % jax.device_count():
        raise ValueError(
            f'{batch_size} users at once do not divide over {jax.device_count()} devices: '
            "change the system's decoding_batch_size"
        )


def _on_every_process(beams: Beams) -> Beams:
    if jax.process_count() == 1:
        return beams
    return multihost_utils.process_allgather(beams, tiled=True)


@functools.partial(jax.jit, static_argnames='model')
def _search(
    model: GenerativeModel,
    params: PyTree[Array],
    batch: dict[str, Int[Array, 'batch length']],
    trie: Trie,
    seen: Int[Array, 'batch history'] | None,
) -> Beams:
    # `seen` is left out, not None, because an unconstrained search takes no filters at all.
    filters = {} if seen is None else {'seen': seen}
    return model.recommend(params, batch, trie, **filters)
