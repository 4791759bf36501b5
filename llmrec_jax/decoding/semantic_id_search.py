"""From a model's step to ranked items: beam search over semantic IDs (TIGER, section 3.2).

Where each user has candidates of their own, the search runs over the trie of those alone.
"""

import dataclasses
from typing import Any, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from llmrec_jax.decoding.beam_search import NO_ITEM, Beams, Prefixes, Step, beam_search, take_beams
from llmrec_jax.decoding.continuations import AnyContinuation, TrieContinuations, trie_continuations
from llmrec_jax.semantic_ids.trie import NO_NODE, AllowedItems, Trie


@no_type_check
@flax.struct.dataclass
class CandidateContinuations:
    """A slot a candidate: as many as there are, however wide the catalogue's trie is.

    Candidates stand in the order of their tokens, so those that share a prefix are neighbours and the first
    of them opens it.

    Attributes:
      tokens: of each candidate.
      nodes: of each candidate in the catalogue's trie at levels 1, 2, ...; -1 for one that is not there.
      opens: whether the candidate is the first with its node.
    """

    tokens: Int[Array, 'batch candidates levels']
    nodes: Int[Array, 'batch candidates levels']
    opens: Bool[Array, 'batch candidates levels']

    @property
    def steps(self) -> int:
        """Levels of the trie."""
        return self.tokens.shape[2]

    def slot_logits(self, position, nodes, logits):
        """A slot a candidate, open in the beams whose prefix the candidate begins with."""
        # At the root there is no level before; the last column stands in for it, unread.
        parents = jnp.where(position == 0, 0, _level(self.nodes, position - 1))
        is_open = _level(self.opens, position)[:, None, :] & (parents[:, None, :] == nodes[:, :, None])
        shape = (*nodes.shape, self.tokens.shape[1])
        tokens = jnp.broadcast_to(_level(self.tokens, position)[:, None, :], shape)
        chosen = jnp.take_along_axis(logits, tokens, axis=-1, mode='promise_in_bounds')
        return jnp.where(is_open, chosen, -jnp.inf)

    def follow(self, position, nodes, slots):
        """A closed slot leads to some node of the next level; its score of -inf tells."""
        tokens = take_beams(_level(self.tokens, position), slots)
        return tokens, jnp.maximum(take_beams(_level(self.nodes, position), slots), 0)

    def tail(self, first: int) -> 'CandidateContinuations':
        """Itself: the position may be traced."""
        return self


def _level(leaf: Array, position: int | Int[Array, '']) -> Array:
    return jax.lax.dynamic_index_in_dim(leaf, position, axis=2, keepdims=False)


def candidate_continuations(
    trie: Trie,
    candidates: Int[Array, 'batch candidates'],
    *,
    seen: Int[Array, 'batch history'] | None,
    allowed: AllowedItems | None,
) -> CandidateContinuations:
    """The continuations of users who choose from `candidates` (-1 pads; repeats count once)."""
    exists = (candidates >= 0) & (candidates < trie.n_items)
    rows = jnp.clip(candidates, 0, trie.n_items - 1)
    if allowed is not None:
        exists &= allowed.items[rows]
    if seen is not None:
        exists &= ~(candidates[:, :, None] == seen[:, None, :]).any(axis=-1)
    nodes = jnp.where(exists[:, :, None], trie.item_nodes[rows], NO_NODE)
    # Leaves stand in lexicographic order, and so do the nodes above them.
    nodes = take_beams(nodes, jnp.argsort(nodes[:, :, -1], axis=-1))
    before = jnp.pad(nodes, ((0, 0), (1, 0), (0, 0)), constant_values=NO_NODE)[:, :-1]
    tokens = [trie.child_tokens[level][jnp.maximum(nodes[:, :, level], 0)] for level in range(trie.levels)]
    return CandidateContinuations(tokens=jnp.stack(tokens, axis=-1), nodes=nodes, opens=nodes != before)


@dataclasses.dataclass(frozen=True)
class SemanticIdSearch:
    """How items are decoded; part of the configuration, so part of every result's name.

    Attributes:
      beam_size: prefixes kept at each step, and items returned.
      constrained: whether only sequences that name an item are generated. Without it the search runs over the
        whole vocabulary, as the paper's does, and `invalid_rate` of the result says what that costs.
      temperature: divides the logits before the softmax.
      start_token: what the decoder reads first; T5's is its padding token.
    """

    beam_size: int = 20
    constrained: bool = True
    temperature: float = 1.0
    start_token: int = 0

    def __post_init__(self):
        check_search(self.beam_size, self.temperature)

    def __call__(
        self,
        step: Step,
        state: Any,
        *,
        batch_size: int,
        trie: Trie,
        seen: Int[Array, 'batch history'] | None = None,
        allowed: AllowedItems | None = None,
        candidates: Int[Array, 'batch candidates'] | None = None,
    ) -> Beams:
        """The best items of each user.

        Args:
          step: the model; see `beam_search`.
          state: the model's state for one beam a user, leaves [batch, 1, ...].
          batch_size: number of users.
          trie: the catalogue.
          seen: items that each user is not to be shown again, padded with -1; ids outside the catalogue name
            nothing.
          allowed: the part of the catalogue that may be shown (`restrict`).
          candidates: the items that each user's list is made of, padded with -1; the search then looks at
            these alone. None for the whole catalogue.

        Returns:
          `beam_size` slots a user. Whatever the trie's width, a slot holds an item that the filters let
          through or is not valid.

        Raises:
          ValueError: for filters without the constraint that they act on.
        """
        if self.constrained:
            continuations = catalogue_continuations(trie, seen, allowed, candidates)
        elif seen is None and allowed is None and candidates is None:
            continuations = AnyContinuation(trie)
        else:
            raise ValueError(
                'seen, allowed and candidates close branches of the trie: they need constrained=True'
            )
        prefixes = beam_search(
            step,
            state,
            continuations,
            batch_size=batch_size,
            beam_size=self.beam_size,
            temperature=self.temperature,
            start_token=self.start_token,
        )
        return named_items(prefixes, trie, self.beam_size)


def check_search(beam_size: int, temperature: float) -> None:
    """Checks the settings that make no search.

    Raises:
      ValueError: when the beam is empty or the temperature not positive.
    """
    if beam_size < 1:
        raise ValueError(f'beam_size must be at least 1, got {beam_size}')
    if not temperature > 0:
        raise ValueError(f'temperature must be above 0, got {temperature}')


def catalogue_continuations(
    trie: Trie,
    seen: Int[Array, 'batch history'] | None,
    allowed: AllowedItems | None,
    candidates: Int[Array, 'batch candidates'] | None,
) -> TrieContinuations | CandidateContinuations:
    """What may follow a prefix of an item that the filters let through; see `SemanticIdSearch.__call__`."""
    if candidates is not None:
        return candidate_continuations(trie, candidates, seen=seen, allowed=allowed)
    return trie_continuations(trie, seen=seen, allowed=allowed)


def named_items(prefixes: Prefixes, trie: Trie, beam_size: int) -> Beams:
    """Complete sequences as items, those that name none moved behind the rest."""
    generated = prefixes.scores > -jnp.inf
    valid = generated & (prefixes.nodes >= 0) & prefixes.finite[:, None]
    beams = Beams(
        items=jnp.where(valid, trie.leaf_items[jnp.maximum(prefixes.nodes, 0)], NO_ITEM),
        tokens=jnp.where(generated[:, :, None], prefixes.tokens, 0),
        scores=jnp.where(valid, prefixes.scores, -jnp.inf),
        valid=valid,
    )
    # A stable sort: valid slots keep their order by score.
    order = jnp.argsort(~valid, axis=-1, stable=True)
    beams = jax.tree.map(lambda leaf: jax.vmap(lambda rows, index: rows[index])(leaf, order), beams)
    missing = beam_size - valid.shape[1]
    beams = Beams(
        items=jnp.pad(beams.items, ((0, 0), (0, missing)), constant_values=NO_ITEM),
        tokens=jnp.pad(beams.tokens, ((0, 0), (0, missing), (0, 0))),
        scores=jnp.pad(beams.scores, ((0, 0), (0, missing)), constant_values=-jnp.inf),
        valid=jnp.pad(beams.valid, ((0, 0), (0, missing))),
    )
    return beams.replace(scores=jnp.where(prefixes.finite[:, None], beams.scores, jnp.nan))
