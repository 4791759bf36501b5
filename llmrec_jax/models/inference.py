"""What a trained generative model is asked for: items, texts, and scores of candidates."""

import abc
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from llmrec_jax.models.model_protocol import Batch, Key, Params
from llmrec_jax.models.ranked_catalogue import seen_tokens

# (newest token of each beam, its position, the beams' cache) to (logits of the next token, the cache).
Step = Callable[[Int[Array, 'batch beam'], int | Int[Array, ''], Any], tuple[Float[Array, '...'], Any]]
# Candidates of each row, [batch, candidates, length], to the log-probability of each.
Scorer = Callable[[Int[Array, 'batch candidates length']], Float[Array, 'batch candidates']]


@runtime_checkable
class RankedItems(Protocol):
    """What a search returns, best first: items and their validity, tokens and scores."""

    items: Int[Array, 'batch beam']
    tokens: Int[Array, 'batch beam levels']
    scores: Float[Array, 'batch beam']
    valid: Any


@runtime_checkable
class GeneratedText(Protocol):
    """What a text decoder returns: token sequences with their lengths and scores."""

    tokens: Int[Array, 'batch n length']
    lengths: Int[Array, 'batch n']
    scores: Float[Array, 'batch n']


@runtime_checkable
class DecodeFn(Protocol):
    """A search over a catalogue (`decoding.SemanticIdSearch`) or a `TextDecoder`."""

    def __call__(self, step: Step, state: Any, *, batch_size: int, **arguments: Any) -> Any:
        """Drives `step(tokens, position, state) -> (logits, state)` from one beam a user on."""
        ...


@runtime_checkable
class TextDecoder(DecodeFn, Protocol):
    """Generates token sequences that end where the model ends them, e.g. `decoding.sampling.Greedy`."""

    @property
    def max_length(self) -> int:
        """Tokens generated at most, the end token included."""
        ...


class GenerativeInference(abc.ABC):
    """The part of a generative model that needs parameters and no targets.

    What a row is given (an encoder's inputs, a prompt) runs once a row of the batch, whatever is then decoded
    or scored.
    """

    module: Any
    decode_fn: DecodeFn | None
    trie: Any
    return_all_decodes: bool
    seen_items: str

    @abc.abstractmethod
    def rows(self, batch: Batch) -> int:
        """Rows of a batch for inference."""

    @abc.abstractmethod
    def read(self, params: Params, batch: Batch) -> Any:
        """What all continuations of a row share, once it is read: arrays, e.g. keys and values."""

    @abc.abstractmethod
    def decode(
        self,
        params: Params,
        read: Any,
        newest: Int[Array, 'batch beam'],
        position: int | Int[Array, ''],
        cache: Any,
    ) -> tuple[Float[Array, 'batch beam vocab'], Any]:
        """One token more of each beam.

        Args:
          params: the network's parameters.
          read: from `read`.
          newest: the token that each beam ends in; at position 0 the decoder's start token, which a network
            without one of its own does not read.
          position: how many tokens of the continuations were read before.
          cache: the beams' own, from `module.init_self_cache` or from the call before.

        Returns:
          Logits of the next token, and the cache with the newest one.
        """

    @abc.abstractmethod
    def read_axes(self, ndim: int) -> tuple[str | None, ...]:
        """Logical names of the axes of those arrays of `read` that have so many."""

    def decoding_step(self, params: Params, batch: Batch) -> Step:
        """Reads what the rows are given; what is returned decodes one token more of each of their beams."""
        read = self.read(params, batch)

        def step(
            newest: Int[Array, 'batch beam'], position: int | Int[Array, ''], cache: Any
        ) -> tuple[Float[Array, 'batch beam vocab'], Any]:
            return self.decode(params, read, newest, position, cache)

        return step

    @abc.abstractmethod
    def candidate_scorer(self, params: Params, batch: Batch) -> Scorer:
        """Reads what the rows are given; what is returned scores candidates that continue it."""

    def recommend(self, params: Params, batch: Batch, trie: Any, **filters: Any) -> RankedItems:
        """The best items of each user, best first.

        Args:
          params: the network's parameters.
          batch: needs the features of the inputs only.
          trie: the catalogue's semantic IDs.
          **filters: handed to the search (seen items, allowed subsets).

        Returns:
          What `decode_fn` returns, e.g. `decoding.Beams`.

        Raises:
          ValueError: if the model has no `decode_fn` or there is no trie.
        """
        if self.decode_fn is None or trie is None:
            raise ValueError('recommending needs a decode_fn in the model and the trie of a catalogue')
        users = self.rows(batch)
        # One beam a user: at position 0 all prefixes are the same empty one, and the search widens the state.
        state = self.module.init_self_cache(users, 1, trie.levels)
        step = self.decoding_step(params, batch)
        return self.decode_fn(step, state, batch_size=users, trie=trie, **filters)

    def generate(
        self, params: Params, batch: Batch, decoder: TextDecoder, key: Key | None = None
    ) -> GeneratedText:
        """Text for each row, as token ids; under `jax.jit`, `decoder` is a static argument.

        Args:
          params: the network's parameters.
          batch: needs the features of the inputs only.
          decoder: e.g. `Greedy`, `Beam` or `Sampling` of `decoding`.
          key: for a decoder that draws: one key, or one a row.

        Returns:
          What `decoder` returns, e.g. `decoding.Generated`.
        """
        rows = self.rows(batch)
        state = self.module.init_self_cache(rows, 1, decoder.max_length)
        return decoder(self.decoding_step(params, batch), state, batch_size=rows, key=key)

    def score_candidates(
        self,
        params: Params,
        batch: Batch,
        candidate_tokens: Int[Array, 'batch candidates length'] | Int[np.ndarray, 'batch candidates length'],
        *,
        chunk_size: int = 32,
    ) -> Float[Array, 'batch candidates']:
        """Log-probability of each candidate text in nats: what `score_batch` gives to it as the target.

        Args:
          params: the network's parameters.
          batch: needs the features of the inputs only.
          candidate_tokens: of each row's own candidates, padded with 0; the end token counts where it is
            given.
          chunk_size: candidates of a row scored at once, whose logits, [batch, chunk, vocab], bound the
            memory.

        Returns:
          Scores; -inf where a candidate has no token.

        Raises:
          ValueError: if there is no candidate, or the chunk is empty.
        """
        candidate_tokens = jnp.asarray(candidate_tokens)
        rows, candidates, length = candidate_tokens.shape
        if min(candidates, length, chunk_size) < 1:
            raise ValueError(
                f'candidates, their length and chunk_size must be positive, got {candidates}, {length}, '
                f'{chunk_size}'
            )
        score = self.candidate_scorer(params, batch)
        size = min(chunk_size, candidates)
        chunks = -(-candidates // size)
        filled = jnp.pad(candidate_tokens, ((0, 0), (0, chunks * size - candidates), (0, 0)))
        by_chunk = jnp.moveaxis(filled.reshape(rows, chunks, size, length), 1, 0)
        scores = jnp.moveaxis(jax.lax.map(score, by_chunk), 0, 1).reshape(rows, -1)[:, :candidates]
        return jnp.where((candidate_tokens != 0).any(axis=-1), scores, -jnp.inf)

    def first_step_log_probs(
        self, params: Params, batch: Batch, token_ids: Int[Array, 'choices'] | Int[np.ndarray, 'choices']
    ) -> Float[Array, 'batch choices']:
        """Log-probability of each of `token_ids` as the first token, in nats.

        Of the first pieces of 'yes' and 'no' it gives P5's ranking of candidates asked about one by one: by
        P(yes) / (P(yes) + P(no)), the sigmoid of the difference.
        """
        rows = self.rows(batch)
        start = jnp.zeros((rows, 1), jnp.int32)
        step = self.decoding_step(params, batch)
        logits, _ = step(start, 0, self.module.init_self_cache(rows, 1, 1))
        return jax.nn.log_softmax(logits[:, 0], axis=-1)[:, jnp.asarray(token_ids)]

    def predict_batch_with_aux(
        self, params: Params, batch: Batch, rng: Key | None = None
    ) -> tuple[Int[Array, 'batch *beam length'], dict[str, Array]]:
        """T5X's prediction, *best last*, as T5X orders its decodes.

        `generate` where the model's `decode_fn` is a text decoder, else `recommend` over its own trie, with
        the batch's 'seen' left out where the model removes seen items.

        Args:
          params: the network's parameters.
          batch: needs the features of the inputs, and 'seen' where the model removes seen items.
          rng: what a decoder that draws draws from; a search reads none.

        Returns:
          The generated tokens, and beside them 'scores' and, of a search, 'items' (-1 where none) and
          'valid': with an axis over beams or samples where `return_all_decodes`, else of the best one.
        """
        if isinstance(self.decode_fn, TextDecoder):
            texts = self.generate(params, batch, self.decode_fn, rng)
            # Samples come in the order of their draws. NaN sorts last, so it is moved to the front.
            order = jnp.argsort(jnp.where(jnp.isnan(texts.scores), -jnp.inf, texts.scores), axis=1)
            fields = {'tokens': texts.tokens, 'scores': texts.scores}
            fields = jax.tree.map(lambda leaf: jax.vmap(lambda rows, index: rows[index])(leaf, order), fields)
        else:
            seen = seen_tokens(batch, self.seen_items)
            # `seen` is left out, not None, because an unconstrained search takes no filters at all.
            filters = {} if seen is None else {'seen': seen - 1}
            beams = self.recommend(params, batch, self.trie, **filters)
            fields = {'tokens': beams.tokens, 'scores': beams.scores, 'items': beams.items}
            fields = jax.tree.map(lambda leaf: jnp.flip(leaf, axis=1), fields | {'valid': beams.valid})
        if not self.return_all_decodes:
            fields = jax.tree.map(lambda leaf: leaf[:, -1], fields)
        return fields.pop('tokens'), fields


def network_variables(params: Params) -> dict[str, Params]:
    """The network's variables; outside `jit`, parameters may be numpy arrays, as readers give them."""
    return {'params': jax.tree.map(jnp.asarray, params)}
