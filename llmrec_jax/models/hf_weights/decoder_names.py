"""Which of the tensors of a LLaMA, Qwen or Gemma is which of our parameters."""

import dataclasses
import functools
import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import traverse_util

from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.decoder_only.transformer import DecoderOnlyTransformer

EMBEDDING, HEAD = 'model.embed_tokens.weight', 'lm_head.weight'
_OUTSIDE_LAYERS = {
    'token_embedder/embedding': EMBEDDING,
    'decoder/decoder_norm/scale': 'model.norm.weight',
    'decoder/logits_dense/kernel': HEAD,
}
_PROJECTIONS = {
    'self_attention/query': 'self_attn.q_proj',
    'self_attention/key': 'self_attn.k_proj',
    'self_attention/value': 'self_attn.v_proj',
    'self_attention/out': 'self_attn.o_proj',
    'mlp/wi_0': 'mlp.gate_proj',
    'mlp/wi_1': 'mlp.up_proj',
    'mlp/wo': 'mlp.down_proj',
}
_NORMS = {
    'self_attention/query_norm': 'self_attn.q_norm',
    'self_attention/key_norm': 'self_attn.k_norm',
    'pre_self_attention_layer_norm': 'input_layernorm',
    'post_self_attention_layer_norm': 'post_attention_layernorm',
    'pre_mlp_layer_norm': 'pre_feedforward_layernorm',
    'post_mlp_layer_norm': 'post_feedforward_layernorm',
}
_IN_LAYERS = {
    **{f'{ours}/kernel': f'{theirs}.weight' for ours, theirs in _PROJECTIONS.items()},
    **{f'{ours}/bias': f'{theirs}.bias' for ours, theirs in _PROJECTIONS.items()},
    **{f'{ours}/scale': f'{theirs}.weight' for ours, theirs in _NORMS.items()},
}
_LAYER = re.compile(r'decoder/layers_(\d+)/(.+)')


def hf_name(path: str) -> str | None:
    """The name of the parameter at one of our paths; None where Hugging Face has no such parameter."""
    if match := _LAYER.fullmatch(path):
        layer, rest = match.groups()
        name = _IN_LAYERS.get(rest)
        return name and f'model.layers.{layer}.{name}'
    return _OUTSIDE_LAYERS.get(path)


def is_transposed(path: str) -> bool:
    """Whether the two sides store a matrix the other way round: kernels multiply from the right here."""
    return path.endswith('/kernel')


def is_unread(name: str) -> bool:
    """Whether a tensor is part of some files and read by nothing: the frequencies follow from the base."""
    return name.endswith('rotary_emb.inv_freq')


@functools.lru_cache(maxsize=8)
def parameter_shapes(config: DecoderConfig) -> Mapping[str, tuple[int, ...]]:
    """Path and shape of each parameter of a network, with one subtree a layer whatever `config` says."""
    network = DecoderOnlyTransformer(dataclasses.replace(config, scan_layers=False, remat_policy='none'))
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    variables = jax.eval_shape(network.init, jax.random.key(0), tokens)
    leaves = traverse_util.flatten_dict(variables['params'], sep='/')
    return {path: tuple(leaf.shape) for path, leaf in leaves.items()}
