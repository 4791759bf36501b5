"""What a trained encoder-decoder is asked for: items, texts, and scores of candidates."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import jaxtyping
from jaxtyping import Array, Float, Int, UInt32

from llmrec_jax.models.t5.transformer import Transformer

Params = Mapping[str, Any]
Batch = Mapping[str, Any]
Key = jaxtyping.Key[Array, '*rows'] | UInt32[Array, '*rows words']
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
    """Generates token sequences that end where the model ends them, e.g. `decoding.greedy.Greedy`."""

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

    def recommend(self, params: Params, batch: Batch, trie: Any, **filters: Any) -> RankedItems:
        """The best items of each user, best first.

        Args:
          params: the network's parameters.
          batch: needs 'encoder_input_tokens' only.
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
          batch: needs 'encoder_input_tokens' only.
          decoder: e.g. `Greedy`, `Beam` or `Sampling` of `decoding`.
          key: for a decoder that draws: one key, or one a row.

        Returns:
          What `decoder` returns, e.g. `decoding.Generated`.
        """
        rows = batch['encoder_input_tokens'].shape[0]
        state = self.module.init_self_cache(rows, 1, decoder.max_length)
        return decoder(self._decoding_step(params, batch), state, batch_size=rows, key=key)

    def predict_batch_with_aux(
        self, params: Params, batch: Batch, rng: Key | None = None
    ) -> tuple[Int[Array, 'batch *beam length'], dict[str, Array]]:
        """T5X's prediction, *best last*, as T5X orders its decodes.

        `generate` where the model's `decode_fn` is a text decoder, else `recommend` over its own trie.

        Args:
          params: the network's parameters.
          batch: needs 'encoder_input_tokens' only.
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
            beams = self.recommend(params, batch, self.trie)
            fields = {'tokens': beams.tokens, 'scores': beams.scores, 'items': beams.items}
            fields = jax.tree.map(lambda leaf: jnp.flip(leaf, axis=1), fields | {'valid': beams.valid})
        if not self.return_all_decodes:
            fields = jax.tree.map(lambda leaf: leaf[:, -1], fields)
        return fields.pop('tokens'), fields

    def predict_batch(
        self, params: Params, batch: Batch, rng: Key | None = None
    ) -> Int[Array, 'batch *beam length']:
        """The tokens of `predict_batch_with_aux`."""
        return self.predict_batch_with_aux(params, batch, rng)[0]

    def _decoding_step(self, params: Params, batch: Batch) -> Step:
        """Encodes the batch; what is returned decodes one token more of each of its beams."""
        variables = network_variables(params)
        tokens = jnp.asarray(batch['encoder_input_tokens'])
        encoded = self.module.apply(variables, tokens, method='encode')
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
