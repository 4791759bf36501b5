"""Which of Hugging Face's tensors is which of our parameters."""

import dataclasses
import functools
import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import traverse_util

from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer

EMBEDDING, HEAD = 'shared.weight', 'lm_head.weight'
# The embedding under the names by which each stack knows it; transformers writes some of them, or none.
COPIES = ('encoder.embed_tokens.weight', 'decoder.embed_tokens.weight')
# Part of the first T5 checkpoints, which nothing reads.
UNREAD = ('decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight',)

_OUTSIDE_LAYERS = {
    'token_embedder/embedding': EMBEDDING,
    'decoder/logits_dense/kernel': HEAD,
    **{
        f'{stack}/relpos_bias/rel_embedding': (
            f'{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight'
        )
        for stack in ('encoder', 'decoder')
    },
    **{f'{stack}/{stack}_norm/scale': f'{stack}.final_layer_norm.weight' for stack in ('encoder', 'decoder')},
}
# Of each stack, in order: our names of a sublayer's norm and of the sublayer, and Hugging Face's of this.
_SUBLAYERS = {
    'encoder': (
        ('pre_attention_layer_norm', 'attention', 'SelfAttention'),
        ('pre_mlp_layer_norm', 'mlp', 'DenseReluDense'),
    ),
    'decoder': (
        ('pre_self_attention_layer_norm', 'self_attention', 'SelfAttention'),
        ('pre_cross_attention_layer_norm', 'encoder_decoder_attention', 'EncDecAttention'),
        ('pre_mlp_layer_norm', 'mlp', 'DenseReluDense'),
    ),
}
_ATTENTION = {'query': 'q', 'key': 'k', 'value': 'v', 'out': 'o'}
_FEED_FORWARD = {name: name for name in ('wi', 'wi_0', 'wi_1', 'wo')}
_IN_LAYERS = {
    f'{stack}/{ours}': theirs
    for stack, sublayers in _SUBLAYERS.items()
    for place, (norm, sublayer, module) in enumerate(sublayers)
    for ours, theirs in (
        (f'{norm}/scale', f'layer.{place}.layer_norm.weight'),
        *(
            (f'{sublayer}/{name}/kernel', f'layer.{place}.{module}.{projection}.weight')
            for name, projection in (_FEED_FORWARD if sublayer == 'mlp' else _ATTENTION).items()
        ),
    )
}
_LAYER = re.compile(r'(encoder|decoder)/layers_(\d+)/(.+)')


def hf_name(path: str) -> str | None:
    """Hugging Face's name of the parameter at one of our paths; None where its T5 has no such parameter."""
    if match := _LAYER.fullmatch(path):
        stack, layer, rest = match.groups()
        name = _IN_LAYERS.get(f'{stack}/{rest}')
        return name and f'{stack}.block.{layer}.{name}'
    return _OUTSIDE_LAYERS.get(path)


def is_transposed(path: str) -> bool:
    """Whether the two sides store a matrix the other way round.

    Kernels multiply from the right here and from the left there; biases are [heads, buckets] here.
    """
    return path.endswith(('/kernel', '/rel_embedding'))


@functools.lru_cache(maxsize=8)
def parameter_shapes(config: T5Config) -> Mapping[str, tuple[int, ...]]:
    """Path and shape of each parameter of a network, with one subtree a layer whatever `config` says."""
    network = Transformer(dataclasses.replace(config, scan_layers=False))
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    words = tokens if config.whole_word_embeddings else None
    variables = jax.eval_shape(
        lambda key, tokens, words: network.init(
            key, tokens, tokens, tokens, encoder_whole_word_ids=words, enable_dropout=False
        ),
        jax.random.key(0),
        tokens,
        words,
    )
    leaves = traverse_util.flatten_dict(variables['params'], sep='/')
    return {path: tuple(leaf.shape) for path, leaf in leaves.items()}
