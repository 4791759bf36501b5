"""The `config.json` of a LLaMA, Qwen or Gemma as our configuration, and our configuration as one.

transformers 4 has the rotary base in 'rope_theta' and its scaling in 'rope_scaling', transformers 5 both in
'rope_parameters'. Both forms are read; the older is written, which both versions read.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from llmrec_jax.models.decoder_only.config import DecoderConfig, LinearRope, Llama3Rope
from llmrec_jax.models.decoder_only.rotary import RopeScaling

GLOBAL, LOCAL = 'full_attention', 'sliding_attention'
ARCHITECTURES = {
    'llama': 'LlamaForCausalLM',
    'qwen2': 'Qwen2ForCausalLM',
    'qwen3': 'Qwen3ForCausalLM',
    'gemma2': 'Gemma2ForCausalLM',
    'gemma3_text': 'Gemma3ForCausalLM',
}
# What the files say of a network by its kind alone; `DecoderConfig`'s defaults are LLaMA's.
_GEMMA = {'activation': 'gelu_tanh', 'norm_plus_one': True, 'scaled_embeddings': True, 'post_norms': True}
KINDS: Mapping[str, Mapping[str, Any]] = {
    'llama': {},
    'qwen2': {'qkv_bias': True},
    'qwen3': {'query_key_norm': True},
    'gemma2': _GEMMA,
    'gemma3_text': {**_GEMMA, 'query_key_norm': True},
}
# What our networks have no choice of, and what a file that does not say it means.
FIXED = {
    'attention_bias': False,
    'mlp_bias': False,
    'use_sliding_window': False,
    'use_bidirectional_attention': False,
    'partial_rotary_factor': 1.0,
}
ACTIVATIONS = {'silu': 'silu', 'gelu_pytorch_tanh': 'gelu_tanh'}
# transformers' defaults, which files of its version 4 leave out where they are the value.
TIED_UNLESS_SAID = ('gemma2', 'gemma3_text')
LOCAL_BASE = 10_000.0
# Every second layer of Gemma 2 is global, every sixth of Gemma 3.
PATTERNS = {'gemma2': 2, 'gemma3_text': 6}


def decoder_config(hf: Mapping[str, Any], path: Any, dtype: Any = 'float32') -> DecoderConfig:
    """The network that a `config.json` describes.

    Args:
      hf: content of the file.
      path: of the file, for messages.
      dtype: of activations.

    Raises:
      KeyError: if an entry is missing.
      ValueError: if the network is one that ours is not.
    """
    kind = hf['model_type']
    for key, value in FIXED.items():
        if hf.get(key, value) not in (value, None):
            raise ValueError(f'{path}: {key} is {hf[key]!r}, this network has {value!r}')
    activation = hf.get('hidden_activation') or hf['hidden_act']
    # Gemma's first files say 'gelu' and mean the approximation, as transformers reads them.
    if ACTIVATIONS.get(activation) != KINDS[kind].get('activation', 'silu'):
        raise ValueError(f'{path}: the activation of a {kind} is {activation!r}')
    heads = hf['num_attention_heads']
    base, scaling, local_base = _rotation(hf, path)
    config = {
        'vocab_size': hf['vocab_size'],
        'emb_dim': hf['hidden_size'],
        'num_layers': hf['num_hidden_layers'],
        'num_heads': heads,
        'num_kv_heads': hf.get('num_key_value_heads') or heads,
        'head_dim': hf.get('head_dim') or hf['hidden_size'] // heads,
        'mlp_dim': hf['intermediate_size'],
        'logits_via_embedding': hf.get('tie_word_embeddings', kind in TIED_UNLESS_SAID),
        'rope_base': base,
        'rope_scaling': scaling,
        'context_length': hf['max_position_embeddings'],
        'norm_epsilon': hf['rms_norm_eps'],
        'dtype': dtype,
        **KINDS[kind],
    }
    if kind in PATTERNS:
        scale = hf['query_pre_attn_scalar'] ** -0.5
        config |= {
            'query_scale': scale,
            'attention_logit_soft_cap': hf.get('attn_logit_softcapping'),
            'final_logit_soft_cap': hf.get('final_logit_softcapping'),
            'sliding_window': hf['sliding_window'],
            'sliding_window_pattern': _pattern(hf, path),
            'local_rope_base': local_base if kind == 'gemma3_text' else None,
        }
    return DecoderConfig(**config)


def config_content(config: DecoderConfig, dtype: str) -> dict[str, Any]:
    """What `config.json` says of a network, as transformers 4 and 5 both read it.

    Args:
      config: of the network.
      dtype: that its tensors are stored in.

    Raises:
      ValueError: when Hugging Face has no such network.
    """
    kind = _kind(config)
    scaling = _scaling_content(config.rope_scaling)
    content = {
        'architectures': [ARCHITECTURES[kind]],
        'model_type': kind,
        'vocab_size': config.vocab_size,
        'hidden_size': config.emb_dim,
        'intermediate_size': config.mlp_dim,
        'num_hidden_layers': config.num_layers,
        'num_attention_heads': config.num_heads,
        'num_key_value_heads': config.num_kv_heads,
        'head_dim': config.head_dim,
        'max_position_embeddings': config.context_length,
        'rms_norm_eps': config.norm_epsilon,
        'tie_word_embeddings': config.logits_via_embedding,
        'rope_theta': config.rope_base,
        'rope_scaling': scaling,
        'attention_bias': False,
        'use_cache': True,
        'torch_dtype': dtype,
    }
    names = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
    content['hidden_act'] = names[config.activation]
    if kind in PATTERNS:
        scale = config.head_dim**-0.5 if config.query_scale is None else config.query_scale
        layers = [LOCAL if config.is_local(layer) else GLOBAL for layer in range(config.num_layers)]
        content |= {
            'hidden_activation': content['hidden_act'],
            'query_pre_attn_scalar': round(scale**-2, 6),
            'attn_logit_softcapping': config.attention_logit_soft_cap,
            'final_logit_softcapping': config.final_logit_soft_cap,
            'sliding_window': config.sliding_window,
            'sliding_window_pattern': config.sliding_window_pattern,
            'layer_types': layers,
        }
        if content['query_pre_attn_scalar'].is_integer():
            content['query_pre_attn_scalar'] = int(content['query_pre_attn_scalar'])
    if kind == 'gemma3_text':
        content['rope_local_base_freq'] = config.local_rope_base
    _check_described(config, content)
    return content


def _kind(config: DecoderConfig) -> str:
    for kind, traits in KINDS.items():
        own = {name: getattr(config, name) for name in _GEMMA | {'qkv_bias': 0, 'query_key_norm': 0}}
        if own == {name: traits.get(name, DecoderConfig.__dataclass_fields__[name].default) for name in own}:
            return kind
    raise ValueError(
        f'Hugging Face has no such network as this one: {config}; it has {", ".join(ARCHITECTURES.values())}'
    )


def _check_described(config: DecoderConfig, content: Mapping[str, Any]) -> None:
    """Reads back what was written: a field that the file cannot express shows."""
    read = decoder_config(content, 'config.json')
    how = ('dtype', 'one_hot_embedding', 'remat_policy', 'scan_layers')
    read = dataclasses.replace(read, **{name: getattr(config, name) for name in how})
    for field in dataclasses.fields(config):
        ours, theirs = getattr(config, field.name), getattr(read, field.name)
        if field.name == 'query_scale' and theirs is not None:
            ours = config.head_dim**-0.5 if ours is None else ours
            if abs(ours - theirs) < 1e-6 * theirs:
                continue
        if ours != theirs:
            raise ValueError(
                f'a {content["model_type"]} of Hugging Face has no choice of DecoderConfig.{field.name}: '
                f'{theirs} there, {ours} here'
            )


def _pattern(hf: Mapping[str, Any], path: Any) -> int:
    """Every so-manieth layer is global."""
    kinds, said = hf.get('layer_types'), hf.get('sliding_window_pattern')
    if kinds is None:
        return said or PATTERNS[hf['model_type']]
    pattern = kinds.index(GLOBAL) + 1 if GLOBAL in kinds else max(said or 0, len(kinds) + 1)
    if kinds != [LOCAL if (layer + 1) % pattern else GLOBAL for layer in range(hf['num_hidden_layers'])]:
        raise ValueError(f'{path}: layer_types is {kinds}: not every {pattern}-th layer is global')
    return pattern


def _rotation(hf: Mapping[str, Any], path: Any) -> tuple[float, RopeScaling | None, float]:
    """Base and scaling of global layers, and base of local ones."""
    parameters = hf.get('rope_parameters')
    if parameters is None:
        everywhere = {**(hf.get('rope_scaling') or {}), 'rope_theta': hf.get('rope_theta', LOCAL_BASE)}
        return (
            _base(everywhere),
            _scaling(everywhere, path),
            float(hf.get('rope_local_base_freq') or LOCAL_BASE),
        )
    everywhere = parameters.get(GLOBAL, parameters)
    local = parameters.get(LOCAL, everywhere)
    return _base(everywhere), _scaling(everywhere, path), _base(local)


def _base(parameters: Mapping[str, Any]) -> float:
    return float(parameters['rope_theta'])


def _scaling(parameters: Mapping[str, Any], path: Any) -> RopeScaling | None:
    kind = parameters.get('rope_type') or parameters.get('type') or 'default'
    if kind == 'default':
        return None
    if kind == 'linear':
        return LinearRope(float(parameters['factor']))
    if kind == 'llama3':
        return Llama3Rope(
            float(parameters['factor']),
            float(parameters['low_freq_factor']),
            float(parameters['high_freq_factor']),
            int(parameters['original_max_position_embeddings']),
        )
    raise ValueError(f'{path}: rotary positions are scaled by {kind!r}; known are linear and llama3')


def _scaling_content(scaling: RopeScaling | None) -> dict[str, Any] | None:
    match scaling:
        case None:
            return None
        case LinearRope(factor):
            return {'rope_type': 'linear', 'factor': factor}
        case Llama3Rope(factor, low, high, original):
            return {
                'rope_type': 'llama3',
                'factor': factor,
                'low_freq_factor': low,
                'high_freq_factor': high,
                'original_max_position_embeddings': original,
            }
    raise ValueError(f'Hugging Face has no rotary positions scaled by a {type(scaling).__name__}')
