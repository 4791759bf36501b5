"""Decoders in GGUF files, llama.cpp's format, read by the package `gguf`; all tensors become float32."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from flax import traverse_util
from jaxtyping import Float, Float32

from llmrec_jax.models.decoder_only.config import DecoderConfig, LinearRope, Llama3Rope
from llmrec_jax.models.decoder_only.rotary import RopeScaling
from llmrec_jax.models.hf_weights.decoder_names import is_transposed, parameter_shapes
from llmrec_jax.text.gguf_file import open_gguf

OUTSIDE_LAYERS = {
    'token_embedder/embedding': 'token_embd.weight',
    'decoder/decoder_norm/scale': 'output_norm.weight',
    'decoder/logits_dense/kernel': 'output.weight',
}
# Divisors of the rotary frequencies, which hold LLaMA 3's scaling.
DIVISORS = 'rope_freqs.weight'
_MODULES = {
    'self_attention/query': 'attn_q',
    'self_attention/key': 'attn_k',
    'self_attention/value': 'attn_v',
    'self_attention/out': 'attn_output',
    'self_attention/query_norm': 'attn_q_norm',
    'self_attention/key_norm': 'attn_k_norm',
    'pre_self_attention_layer_norm': 'attn_norm',
    'mlp/wi_0': 'ffn_gate',
    'mlp/wi_1': 'ffn_up',
    'mlp/wo': 'ffn_down',
}
_NORMS = {'post_self_attention_layer_norm': 'ffn_norm'}
_GEMMA_NORMS = {
    'post_self_attention_layer_norm': 'post_attention_norm',
    'pre_mlp_layer_norm': 'ffn_norm',
    'post_mlp_layer_norm': 'post_ffw_norm',
}
_LAYER = re.compile(r'decoder/layers_(\d+)/(.+)/(kernel|scale|bias)')


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What a file says of a network by its kind alone.

    Attributes:
      traits: fields of the configuration.
      norms: names of the norms in which kinds differ.
      interleaved: whether the rotary pairs are neighbours, so that query and key rows are in another order.
    """

    traits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    norms: Mapping[str, str] = dataclasses.field(default_factory=lambda: _NORMS)
    interleaved: bool = False


_GEMMA = {'activation': 'gelu_tanh', 'norm_plus_one': True, 'scaled_embeddings': True, 'post_norms': True}
ARCHITECTURES = {
    'llama': Architecture(interleaved=True),
    'qwen2': Architecture({'qkv_bias': True}),
    'qwen3': Architecture({'query_key_norm': True}),
    'gemma2': Architecture({**_GEMMA, 'sliding_window_pattern': 2}, _GEMMA_NORMS),
    'gemma3': Architecture(
        {**_GEMMA, 'query_key_norm': True, 'sliding_window_pattern': 6, 'local_rope_base': 10_000.0},
        _GEMMA_NORMS,
    ),
}


def load_gguf(path: str | pathlib.Path, dtype: Any = 'float32') -> tuple[DecoderConfig, dict[str, Any]]:
    """Configuration and parameters of a file, the latter float32 with one subtree a layer.

    Args:
      path: of the file.
      dtype: of activations.

    Raises:
      RuntimeError, FileNotFoundError, ValueError: as `open_gguf`; and if the file is of another architecture,
        says too little, lacks a tensor, or has one that the network has no place for.
    """
    reader = open_gguf(path)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    try:
        kind, config = _config(reader, tensors, path, dtype)
    except KeyError as error:
        raise ValueError(f'{path} does not say {error}') from error
    names = dict(_names(config, kind))
    if unknown := sorted(tensors.keys() - set(names.values()) - {DIVISORS}):
        raise ValueError(f'{path}: {unknown[0]!r} has no place in a {config}')
    params = {}
    for name, shape in parameter_shapes(config).items():
        if names[name] not in tensors:
            raise ValueError(f'{path} has no tensor {names[name]!r} for {name}')
        value = _dequantised(tensors[names[name]], path)
        if kind.interleaved and re.search('/(query|key)/', name):
            value = half_split(value, config.head_dim)
        value = value.T if is_transposed(name) else value
        # llama.cpp's files of Gemma hold the whole scale.
        value = value - 1 if config.norm_plus_one and name.endswith('/scale') else value
        if value.shape != shape:
            raise ValueError(f'{path}: {names[name]!r} has shape {value.shape} where {name} needs {shape}')
        params[name] = value
    return config, traverse_util.unflatten_dict(params, sep='/')


def half_split(rows: Float[np.ndarray, 'joined *width'], head_dim: int) -> Float[np.ndarray, 'joined *width']:
    """Query or key rows whose rotary pairs are neighbours, in the order in which halves are paired."""
    pairs = rows.reshape(-1, head_dim // 2, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _dequantised(tensor: Any, path: Any) -> Float32[np.ndarray, '...']:
    import gguf

    try:
        return gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        raise ValueError(
            f'{path}: {tensor.name!r} is stored as {tensor.tensor_type.name}, which gguf cannot read: {error}'
        ) from error


def _names(config: DecoderConfig, kind: Architecture) -> Iterator[tuple[str, str]]:
    """Each parameter's path and its name in the file."""
    modules = {**_MODULES, **kind.norms}
    for path in parameter_shapes(config):
        if match := _LAYER.fullmatch(path):
            layer, module, what = match.groups()
            yield path, f'blk.{layer}.{modules[module]}.{"bias" if what == "bias" else "weight"}'
        else:
            yield path, OUTSIDE_LAYERS[path]


def _config(
    reader: Any, tensors: Mapping[str, Any], path: Any, dtype: Any
) -> tuple[Architecture, DecoderConfig]:
    architecture = _said(reader)('general.architecture')
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f'{path} is of a {architecture!r}; networks of this library are {", ".join(ARCHITECTURES)}'
        )
    kind, said = ARCHITECTURES[architecture], _said(reader, f'{architecture}.')
    width, heads = said('embedding_length'), said('attention.head_count')
    head_dim = said('attention.key_length', width // heads)
    if said('rope.dimension_count', head_dim) != head_dim:
        raise ValueError(f'{path}: rope.dimension_count is not the {head_dim} dimensions of a head')
    base = _shortest(said('rope.freq_base', 10_000.0))
    fields = {
        'vocab_size': int(tensors['token_embd.weight'].shape[1]),
        'emb_dim': width,
        'num_layers': said('block_count'),
        'num_heads': heads,
        'num_kv_heads': said('attention.head_count_kv', heads),
        'head_dim': head_dim,
        'mlp_dim': said('feed_forward_length'),
        'logits_via_embedding': 'output.weight' not in tensors,
        'rope_base': base,
        'rope_scaling': _scaling(said, tensors, path, head_dim, base),
        'context_length': said('context_length'),
        'norm_epsilon': _shortest(said('attention.layer_norm_rms_epsilon')),
        'dtype': dtype,
        **kind.traits,
    }
    if 'sliding_window_pattern' in kind.traits:
        fields['sliding_window'] = said('attention.sliding_window')
    for ours, theirs in (
        ('attention_logit_soft_cap', 'attn_logit_softcapping'),
        ('final_logit_soft_cap', 'final_logit_softcapping'),
    ):
        fields[ours] = said(theirs, None)
    return kind, DecoderConfig(**fields)


def _scaling(
    said: Callable[..., Any], tensors: Mapping[str, Any], path: Any, head_dim: int, base: float
) -> RopeScaling | None:
    scaling = said('rope.scaling.type', 'none')
    if scaling == 'linear':
        return LinearRope(_shortest(said('rope.scaling.factor')))
    if scaling != 'none':
        raise ValueError(f'{path}: rotary positions are scaled by {scaling!r}; known are linear and llama3')
    if DIVISORS not in tensors:
        return None
    divisors = _dequantised(tensors[DIVISORS], path)
    frequencies = base ** -(np.arange(0, head_dim, 2) / head_dim)
    found = Llama3Rope(_shortest(divisors.max()))
    if not np.allclose(frequencies / divisors, found.scaled(frequencies), rtol=1e-3):
        raise ValueError(f"{path}: {DIVISORS!r} is not LLaMA 3's scaling by a factor of {found.factor}")
    return found


_MISSING = object()


def _said(reader: Any, prefix: str = '') -> Callable[..., Any]:
    """What a file says under a name, else a default, else a `KeyError`."""

    def said(name: str, default: Any = _MISSING) -> Any:
        field = reader.fields.get(prefix + name)
        if field is not None:
            return field.contents()
        if default is _MISSING:
            raise KeyError(prefix + name)
        return default

    return said


def _shortest(value: Any) -> float:
    """A float32 as the number that was meant: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(value)))
