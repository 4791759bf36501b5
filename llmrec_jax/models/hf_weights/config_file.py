"""A T5's `config.json` as our configuration, and our configuration as a `config.json`."""

from collections.abc import Mapping
from typing import Any

from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.layers import BUCKETS, MAX_DISTANCE

# What this network has no choice of.
FIXED = {
    'relative_attention_num_buckets': BUCKETS,
    'relative_attention_max_distance': MAX_DISTANCE,
    'layer_norm_epsilon': 1e-6,
}
# Hugging Face's 'feed_forward_proj' to our activations; gated-gelu is the tanh approximation in both.
ACTIVATIONS = {
    'relu': ('relu',),
    'gated-gelu': ('gelu', 'linear'),
    'gated-silu': ('silu', 'linear'),
}
# The ids that T5's vocabularies have; the padding also begins every decoder input.
TOKENS = {'pad_token_id': 0, 'eos_token_id': 1, 'decoder_start_token_id': 0}


def t5_config(
    hf: Mapping[str, Any], path: Any, dtype: Any = 'float32', dropout_rate: float | None = 0.0
) -> T5Config:
    """The network that a `config.json` describes.

    Args:
      hf: content of the file.
      path: of the file, for messages.
      dtype: of activations.
      dropout_rate: of the network; None for what the file says.

    Raises:
      KeyError: if an entry is missing.
      ValueError: if the network is one that ours is not.
    """
    for key, value in FIXED.items():
        if hf.get(key, value) != value:
            raise ValueError(f'{path}: {key} is {hf[key]}, this network has {value}')
    activation = hf.get('feed_forward_proj', 'relu')
    if activation not in ACTIVATIONS:
        raise ValueError(f'{path}: feed_forward_proj is {activation!r}, known are {sorted(ACTIVATIONS)}')
    return T5Config(
        vocab_size=hf['vocab_size'],
        emb_dim=hf['d_model'],
        num_heads=hf['num_heads'],
        head_dim=hf['d_kv'],
        mlp_dim=hf['d_ff'],
        num_encoder_layers=hf['num_layers'],
        num_decoder_layers=hf.get('num_decoder_layers') or hf['num_layers'],
        mlp_activations=ACTIVATIONS[activation],
        dropout_rate=hf.get('dropout_rate', 0.1) if dropout_rate is None else dropout_rate,
        # transformers 5 calls every T5 tied and tells 1.0 from 1.1 by the scale.
        logits_via_embedding=hf.get('scale_decoder_outputs', hf.get('tie_word_embeddings', True)),
        dtype=dtype,
    )


def config_content(config: T5Config, dtype: str) -> dict[str, Any]:
    """What `config.json` says of a network, as transformers 4 and 5 both read it.

    Args:
      config: of the network.
      dtype: that its tensors are stored in.

    Raises:
      ValueError: when Hugging Face's T5 has no such feed-forward block.
    """
    names = {activations: name for name, activations in ACTIVATIONS.items()}
    if config.mlp_activations not in names:
        raise ValueError(
            f"Hugging Face's T5 has no feed-forward block with mlp_activations={config.mlp_activations}; "
            f'it has {", ".join(map(str, names))}'
        )
    return {
        'architectures': ['T5ForConditionalGeneration'],
        'model_type': 't5',
        'vocab_size': config.vocab_size,
        'd_model': config.emb_dim,
        'd_kv': config.head_dim,
        'd_ff': config.mlp_dim,
        'num_layers': config.num_encoder_layers,
        'num_decoder_layers': config.num_decoder_layers,
        'num_heads': config.num_heads,
        'feed_forward_proj': names[config.mlp_activations],
        # transformers 4 ties by the first. transformers 5 calls every T5 tied, and leaves two tensors that
        # differ apart; it goes by the second.
        'tie_word_embeddings': config.logits_via_embedding,
        'scale_decoder_outputs': config.logits_via_embedding,
        'dropout_rate': config.dropout_rate,
        'initializer_factor': 1.0,
        'is_encoder_decoder': True,
        'use_cache': True,
        'torch_dtype': dtype,
        **FIXED,
        **TOKENS,
    }
