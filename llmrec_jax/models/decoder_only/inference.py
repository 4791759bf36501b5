"""What a trained decoder is asked for: a prompt runs once a row, whatever is then decoded or scored."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from llmrec_jax.models.decoder_only.decoder import LayerStates
from llmrec_jax.models.decoder_only.transformer import DecoderOnlyTransformer
from llmrec_jax.models.inference import GenerativeInference, Scorer, network_variables
from llmrec_jax.models.losses import token_cross_entropy
from llmrec_jax.models.model_protocol import Batch, Params


class DecoderOnlyInference(GenerativeInference):
    """The part of `DecoderOnlyModel` that needs parameters and no targets."""

    module: DecoderOnlyTransformer
    inputs_bidirectional_attention: bool

    def rows(self, batch: Batch) -> int:
        """See `GenerativeInference`."""
        return batch['decoder_input_tokens'].shape[0]

    def read(self, params: Params, batch: Batch) -> dict[str, Any]:
        """See `GenerativeInference`; keys and values of the prompt, and its last token, to be read again."""
        tokens, lengths = prompts(batch)
        _, memory = self._prefill(params, batch)
        last = jnp.take_along_axis(tokens, lengths[:, None] - 1, axis=1)
        return {'memory': memory, 'lengths': lengths - 1, 'last': last}

    def decode(
        self,
        params: Params,
        read: Any,
        newest: Int[Array, 'batch beam'],
        position: int | Int[Array, ''],
        cache: Any,
    ) -> tuple[Float[Array, 'batch beam vocab'], Any]:
        """See `GenerativeInference`.

        What is read at position 0 is the last token of the prompt, whatever token is given: what follows the
        prompt begins with its logits.
        """
        variables = network_variables(params)
        tokens = jnp.where(position == 0, read['last'], newest)[:, :, None]
        encoded, cache = self.module.apply(
            variables, tokens, position, cache, read['memory'], read['lengths'], method='extend'
        )
        return self.module.apply(variables, encoded[:, :, 0], method='logits'), cache

    def read_axes(self, ndim: int) -> tuple[str | None, ...]:
        """See `GenerativeInference`; 4 or 5 axes are those of keys and values."""
        layers = ('layers',) if ndim == 5 else ()
        return ('batch', None)[:ndim] if ndim < 4 else (*layers, 'batch', 'length', 'heads', 'kv')

    def candidate_scorer(self, params: Params, batch: Batch) -> Scorer:
        """See `GenerativeInference`; all tokens of a candidate are read at once, behind the one prompt."""
        variables = network_variables(params)
        _, lengths = prompts(batch)
        encoded, memory = self._prefill(params, batch)
        last = jnp.take_along_axis(encoded, (lengths - 1)[:, None, None], axis=1)

        def score(tokens: Int[Array, 'batch candidates length']) -> Float[Array, 'batch candidates']:
            rows, size, length = tokens.shape
            before = jnp.broadcast_to(last[:, None], (rows, size, 1, last.shape[-1]))
            if length > 1:
                cache = self.module.init_self_cache(rows, size, length - 1)
                read, _ = self.module.apply(
                    variables, tokens[:, :, :-1], 0, cache, memory, lengths, method='extend'
                )
                before = jnp.concatenate([before, read], axis=2)
            logits = self.module.apply(variables, before, method='logits')
            flat = logits.reshape(rows, size * length, -1)
            cross_entropy, _ = token_cross_entropy(flat, tokens.reshape(rows, -1))
            is_real = jnp.flip(jnp.cumsum(jnp.flip(tokens != 0, 2), 2), 2) > 0
            return -jnp.sum(jnp.where(is_real, cross_entropy.reshape(tokens.shape), 0.0), axis=-1)

        return score

    def _prefill(
        self, params: Params, batch: Batch
    ) -> tuple[Float[Array, 'batch prompt embed'], LayerStates]:
        """The last output at each token of the prompts, and each layer's keys and values."""
        variables = network_variables(params)
        tokens = jnp.asarray(batch['decoder_input_tokens'])
        mutual = (
            jnp.asarray(batch['decoder_causal_attention']) if self.inputs_bidirectional_attention else None
        )
        embedded = self.module.apply(variables, tokens, method='embed')
        return self.module.apply(variables, embedded, mutual, method='prefill')


def prompts(batch: Batch) -> tuple[Int[Array, 'batch prompt'], Int[Array, 'batch']]:
    """What is read before the first target of each row, and how many tokens that is: one at least."""
    tokens = jnp.asarray(batch['decoder_input_tokens'])
    of_prompt = jnp.asarray(batch['decoder_causal_attention']) > 0
    return tokens, jnp.maximum(jnp.sum(of_prompt, axis=1), 1)
