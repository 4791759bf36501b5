"""What a trained encoder-decoder is asked for: items, texts, and scores of candidates."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from llmrec_jax.models.losses import token_cross_entropy
from llmrec_jax.models.model_protocol import Batch, Key, Params
from llmrec_jax.models.ranked_catalogue import seen_tokens
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.models.whole_words import WHOLE_WORD_IDS, WholeWords

# (newest token of each beam, its position, the beams' cache) to (logits of the next token, the cache).
Step = Callable[[Int[Array, 'batch beam'], int | Int[Array, ''], Any], tuple[Float[Array, '...'], Any]]


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


class EncoderDecoderInference:
    """The part of `EncoderDecoderModel` that needs parameters and no targets.

    The encoder, and the keys and values that its output gives, run once a row of the batch, whatever is then
    decoded or scored.
    """

    module: Transformer
    decode_fn: DecodeFn | None
    trie: Any
    return_all_decodes: bool
    whole_words: WholeWords | None
    seen_items: str

    def recommend(self, params: Params, batch: Batch, trie: Any, **filters: Any) -> RankedItems:
        """The best items of each user, best first.

        Args:
          params: the network's parameters.
          batch: needs the encoder's features only.
          trie: the catalogue's semantic IDs.
          **filters: handed to the search (seen items, allowed subsets).

        Returns:
          What `decode_fn` returns, e.g. `decoding.Beams`.

        Raises:
          ValueError: if the model has no `decode_fn` or there is no trie.
        """
        if self.decode_fn is None or trie is None:
            raise ValueError('recommending needs a decode_fn in the model and the trie of a catalogue')
        users = batch['encoder_input_tokens'].shape[0]
        # One beam a user: at position 0 all prefixes are the same empty one, and the search widens the state.
        state = self.module.init_self_cache(users, 1, trie.levels)
        step = self._decoding_step(params, batch)
        return self.decode_fn(step, state, batch_size=users, trie=trie, **filters)

    def generate(
        self, params: Params, batch: Batch, decoder: TextDecoder, key: Key | None = None
    ) -> GeneratedText:
        """Text for each row, as token ids; under `jax.jit`, `decoder` is a static argument.

        Args:
          params: the network's parameters.
          batch: needs the encoder's features only.
          decoder: e.g. `Greedy`, `Beam` or `Sampling` of `decoding`.
          key: for a decoder that draws: one key, or one a row.

        Returns:
          What `decoder` returns, e.g. `decoding.Generated`.
        """
        rows = batch['encoder_input_tokens'].shape[0]
        state = self.module.init_self_cache(rows, 1, decoder.max_length)
        return decoder(self._decoding_step(params, batch), state, batch_size=rows, key=key)

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
          batch: needs the encoder's features only.
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
        step = self._decoding_step(params, batch)
        size = min(chunk_size, candidates)
        chunks = -(-candidates // size)
        filled = jnp.pad(candidate_tokens, ((0, 0), (0, chunks * size - candidates), (0, 0)))
        # Positions lead within a chunk, as a scan over them wants it.
        by_chunk = jnp.transpose(filled.reshape(rows, chunks, size, length), (1, 3, 0, 2))

        def score_chunk(tokens: Int[Array, 'length batch chunk']) -> Float[Array, 'batch chunk']:
            def add_position(carried, at):
                newest, state, scores = carried
                position, targets = at
                logits, state = step(newest, position, state)
                cross_entropy, _ = token_cross_entropy(logits, targets)
                return (targets, state, scores - jnp.where(targets != 0, cross_entropy, 0.0)), None

            start = jnp.zeros((rows, size), tokens.dtype)
            carried = (start, self.module.init_self_cache(rows, size, length), jnp.zeros((rows, size)))
            return jax.lax.scan(add_position, carried, (jnp.arange(length), tokens))[0][-1]

        scores = jnp.moveaxis(jax.lax.map(score_chunk, by_chunk), 0, 1).reshape(rows, -1)[:, :candidates]
        return jnp.where((candidate_tokens != 0).any(axis=-1), scores, -jnp.inf)

    def first_step_log_probs(
        self, params: Params, batch: Batch, token_ids: Int[Array, 'choices'] | Int[np.ndarray, 'choices']
    ) -> Float[Array, 'batch choices']:
        """Log-probability of each of `token_ids` as the first token, in nats.

        Of the first pieces of 'yes' and 'no' it gives P5's ranking of candidates asked about one by one: by
        P(yes) / (P(yes) + P(no)), the sigmoid of the difference.
        """
        rows = batch['encoder_input_tokens'].shape[0]
        start = jnp.zeros((rows, 1), jnp.int32)
        step = self._decoding_step(params, batch)
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
          batch: needs the encoder's features, and 'seen' where the model removes seen items.
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

    def whole_word_features(self, batch: Batch, *, inference: bool) -> dict[str, Int[Array, 'batch inputs']]:
        """The word numbers that the encoder is given with this batch: those of the batch, or nothing.

        Raises:
          ValueError: when the network adds whole-word embeddings and the batch does not number its words.
        """
        if self.whole_words is None or (inference and self.whole_words.omitted_at_inference):
            return {}
        if WHOLE_WORD_IDS not in batch:
            raise ValueError(
                f'the network adds whole-word embeddings, but the batch has no {WHOLE_WORD_IDS!r}: make it '
                'with convert_features, or with the FEATURE_CONVERTER_CLS of the model'
            )
        return {WHOLE_WORD_IDS: jnp.asarray(batch[WHOLE_WORD_IDS])}

    def _decoding_step(self, params: Params, batch: Batch) -> Step:
        """Encodes the batch; what is returned decodes one token more of each of its beams."""
        variables = network_variables(params)
        tokens = jnp.asarray(batch['encoder_input_tokens'])
        whole_words = self.whole_word_features(batch, inference=True)
        encoded = self.module.apply(variables, tokens, **whole_words, method='encode')
        cross_kv = self.module.apply(variables, encoded, method='cross_keys_values')

        def step(
            newest: Int[Array, 'batch beam'], position: int | Int[Array, ''], self_cache: Any
        ) -> tuple[Float[Array, 'batch beam vocab'], Any]:
            return self.module.apply(
                variables, newest, position, self_cache, cross_kv, tokens > 0, method='decode_beams'
            )

        return step


def network_variables(params: Params) -> dict[str, Params]:
    """The network's variables; outside `jit`, parameters may be numpy arrays, as readers give them."""
    return {'params': jax.tree.map(jnp.asarray, params)}
