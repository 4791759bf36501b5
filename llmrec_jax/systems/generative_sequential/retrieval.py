"""A trained generative sequential retriever as a recommender: histories in, a beam search of codes out."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import partitioning
from jax.sharding import Mesh
from jaxtyping import Array, Int, PyTree

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.decoding.beam_search import Beams, beam_search
from llmrec_jax.decoding.continuations import TrieContinuations, items_left, seen_nodes
from llmrec_jax.decoding.semantic_id_search import named_items
from llmrec_jax.evaluation.protocol import SEEN_ITEMS, one_position
from llmrec_jax.evaluation.recommendations import Recommendations, from_beams
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.models.generative_sequential.coded_catalogue import children_of
from llmrec_jax.models.generative_sequential.head_parts import level_of, moved_states, queries
from llmrec_jax.models.generative_sequential.model import GenerativeSequentialModel
from llmrec_jax.models.sequential.recommender_model import padded_left
from llmrec_jax.planning.shapes import placed, sharded_params
from llmrec_jax.runs.run import Run
from llmrec_jax.semantic_ids.trie import Trie, find_child
from llmrec_jax.stages import rank
from llmrec_jax.stages.catalogue_ranking import NetworkRetrieval
from llmrec_jax.stages.hybrid import ModelScores
from llmrec_jax.stages.length_batches import length_batches
from llmrec_jax.stages.sampled import MeasureSampled
from llmrec_jax.training.mesh import LogicalRules, batch_sharding, check_batch, place, replicated
from llmrec_jax.training.trainer import Trainer


@no_type_check
@flax.struct.dataclass
class SlotContinuations(TrieContinuations):
    """The trie's children, whose logits come slot by slot; attributes as in `TrieContinuations`."""

    def slot_logits(self, position, nodes, logits):
        """The logits, -inf where nothing is left under a child; a slot without a child has that already."""
        children, exists = children_of(self.trie, position, nodes)
        if self.seen is not None:
            counts = self.trie.leaf_counts[position]
            exists &= items_left(counts, children, self.seen[:, :, position]) > 0
        return jnp.where(exists, logits, -jnp.inf)


@dataclasses.dataclass(frozen=True, eq=False)
class CodeBeamRecommender:
    """Ranks items by a beam search of their codes; attributes as in `CatalogueRecommender`, and

    Attributes:
      beam_size: prefixes kept at each level; lists are at most as long.
      temperature: of the search.
    """

    model: GenerativeSequentialModel
    params: PyTree[Array]
    mesh: Mesh
    rules: LogicalRules
    max_items: int
    beam_size: int
    batch_size: int = 256
    length_buckets: tuple[int, ...] = ()
    temperature: float = 1.0

    def __post_init__(self):
        check_batch(self.mesh, self.rules, self.batch_size)

    def with_params(self, params: PyTree[Array]) -> 'CodeBeamRecommender':
        """The same with other parameters; nothing is compiled again."""
        return dataclasses.replace(self, params=params)

    def for_users(self, user_ids: Sequence[str]) -> 'CodeBeamRecommender':
        """The same: who asks makes no difference, only the history."""
        del user_ids
        return self

    def searching(self, beam_size: int, temperature: float = 1.0) -> 'CodeBeamRecommender':
        """See `searched.BeamRecommender`."""
        return dataclasses.replace(self, beam_size=beam_size, temperature=temperature)

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """The best `k` items of each case.

        Raises:
          ValueError: when the beam is narrower than `k`, there are no cases, `seen_items` has no such
            position, or a score is NaN.
        """
        if self.beam_size < k:
            raise ValueError(f'a beam of {self.beam_size} cannot rank {k} items: raise BEAM_SIZE')
        return from_beams(self.beams(cases, seen_items=seen_items), cases.target, k)

    def target_ranks(self, cases: RankingCases, k: int, *, seen_items: str) -> Int[np.ndarray, 'cases']:
        """See `rank.TrainedRecommender`."""
        return self.recommend(cases, k, seen_items=seen_items).target_rank

    def beams(
        self, cases: RankingCases, *, seen_items: str
    ) -> Iterator[tuple[Int[np.ndarray, 'users'], Beams]]:
        """Case rows and their beams, batch by batch; a last batch is filled up with repeats."""
        one_position('seen_items', seen_items, SEEN_ITEMS)
        if not len(cases):
            raise ValueError('no cases to recommend for')
        tokens, lengths = cases.histories.last(self.max_items)
        tokens = padded_left((tokens + 1).astype(np.int32))
        # A power of two, so that few widths are compiled.
        longest = 1 << (int(cases.histories.lengths.max()) - 1).bit_length()
        history, _ = cases.histories.last(longest if seen_items == 'removed' else 0)
        placement = batch_sharding(self.mesh, self.rules)
        widths = (*self.length_buckets, self.max_items)
        with jax.set_mesh(self.mesh), partitioning.axis_rules(self.rules):
            for rows, filled, width in length_batches(lengths, self.batch_size, widths):
                # Only a history that is cut is longer than what is read of it.
                seen = history[filled, : width if width < self.max_items else None]
                features = {
                    'histories': tokens[filled, self.max_items - width :],
                    'seen': seen.astype(np.int32),
                }
                placed, trie = place(features, placement), self.model.heads.catalogue.trie
                found = _search(
                    self.model, self.params, placed, trie, self.beam_size, self.mesh, self.rules,
                    self.temperature,
                )  # fmt: skip
                yield rows, jax.device_get(found)


@dataclasses.dataclass(frozen=True)
class CodeBeamRetrieval(NetworkRetrieval):
    """How a run answers histories by codes; see `rank.Retrieval`.

    Attributes as in `NetworkRetrieval`, and

    Attributes:
      beam_size: prefixes kept at each level.
    """

    beam_size: int = dataclasses.field(kw_only=True)

    def blank(self, run: Run) -> CodeBeamRecommender:
        """See `rank.Retrieval`."""
        return CodeBeamRecommender(**self.without_params(run), beam_size=self.beam_size)


@dataclasses.dataclass(frozen=True)
class MeasureSampledCodes(MeasureSampled):
    """Targets among drawn items by the probability of their codes; attributes as in `MeasureSampled`."""

    def systems(self, run: Run) -> Mapping[str, DenseRecommender]:
        """See `SampledStage.systems`."""
        return {self.system: ModelScores(rank.trained(self.retrieval, run))}


@dataclasses.dataclass(frozen=True)
class CodeBeams:
    """The search of a catalogue's codes after each history; see `planning.decoding_programs.DecodingProgram`.

    Attributes:
      items: of the catalogue.
      users: answered at once.
      max_items: the newest items of a history that are read.
      beam_size: prefixes kept at each level.
      seen_items: 'removed' closes the items of the history to the search.
    """

    items: int
    users: int
    max_items: int
    beam_size: int
    seen_items: str

    def shards(self, mesh: tuple[int, int]) -> int:
        """See `DecodingProgram`."""
        return mesh[0]

    def lower(self, model: GenerativeSequentialModel, trainer: Trainer, mesh: Mesh) -> tuple[Any, Any]:
        """See `DecodingProgram`."""
        params, rules = sharded_params(model, trainer, mesh), trainer.logical_axis_rules
        histories = jax.ShapeDtypeStruct((self.users, self.max_items), np.int32)
        seen = histories if self.seen_items == 'removed' else jax.ShapeDtypeStruct((self.users, 0), np.int32)
        features = placed({'histories': histories, 'seen': seen}, batch_sharding(mesh, rules))
        trie = placed(jax.eval_shape(lambda: model.heads.catalogue.trie), replicated(mesh))
        with jax.set_mesh(mesh), partitioning.axis_rules(rules):
            return params, _search.lower(model, params, features, trie, self.beam_size, mesh, rules)

    def model_flops(self, model: GenerativeSequentialModel, trainer: Trainer) -> None:
        """See `DecodingProgram`; encoders of histories differ too much for a formula."""
        del model, trainer

    def title(self, model: GenerativeSequentialModel, trainer: Trainer) -> str:
        """See `DecodingProgram`."""
        del model, trainer
        return (
            f'Decoding: the search of {self.items:,} items, beam {self.beam_size}, '
            f'{self.max_items} items a history'
        )


# Mesh and rules are arguments of the program, because what a trace reads of them is no part of its key.
@functools.partial(jax.jit, static_argnames=('model', 'beam_size', 'mesh', 'rules', 'temperature'))
def _search(
    model: GenerativeSequentialModel,
    params: PyTree[Array],
    features: dict[str, Array],
    trie: Trie,
    beam_size: int,
    mesh: Mesh,
    rules: LogicalRules,
    temperature: float = 1.0,
) -> Beams:
    del rules
    states = model.encoded(params, features['histories'])
    heads, vectors = model.network.apply({'params': params}, method='decoding_parts')
    seen = features['seen']
    continuations = SlotContinuations(trie, None, seen_nodes(trie, seen, None) if seen.shape[1] else None)

    def step(tokens, position, state):
        nodes, codes = state
        if position:
            nodes, codes = find_child(trie, position - 1, nodes, tokens), (*codes, tokens)
        broadcast = jnp.broadcast_to(states[:, None], (*tokens.shape, states.shape[-1]))
        asked = queries(level_of(heads, position), moved_states(heads, position, broadcast, codes))
        # A prefix that is not there has a score of -inf, whatever its children.
        children, exists = children_of(trie, position, jnp.maximum(nodes, 0))
        if position:
            logits = jnp.einsum('bkd,bksd->bks', asked, vectors[position][children])
        else:
            logits = asked @ vectors[0].T
        return jnp.where(exists, logits, -jnp.inf), (nodes, codes)

    start = (jnp.zeros((len(states), 1), jnp.int32), ())
    prefixes = beam_search(
        step, start, continuations, batch_size=len(states), beam_size=beam_size, temperature=temperature
    )
    beams = named_items(prefixes, trie, beam_size)
    return jax.lax.with_sharding_constraint(beams, replicated(mesh))
