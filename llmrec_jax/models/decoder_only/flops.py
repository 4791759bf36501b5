"""Model FLOPs and parameters of a decoder-only network, by formula; what counts is told in `t5.flops`."""

from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.t5.flops import FORWARD_AND_BACKWARD


def train_flops(config: DecoderConfig, examples: int, length: int, predicted: int) -> int:
    """Model FLOPs of the forward and backward pass over padded examples.

    Args:
      config: the network's shape.
      examples: rows of the batch.
      length: tokens that a row reads.
      predicted: tokens of a row that logits are computed for.
    """
    return FORWARD_AND_BACKWARD * forward_flops(config, examples, length, predicted)


def forward_flops(config: DecoderConfig, examples: int, length: int, predicted: int) -> int:
    """Model FLOPs of the forward pass; the arguments are those of `train_flops`."""
    return examples * (length * token_flops(config, length) + predicted * logits_flops(config))


def token_flops(config: DecoderConfig, keys: int) -> int:
    """Model FLOPs of one token in all layers, which attends to `keys` positions (a mask saves nothing)."""
    attention = 2 * 2 * keys * config.num_heads * config.head_dim
    return config.num_layers * (2 * layer_weights(config) + attention)


def logits_flops(config: DecoderConfig) -> int:
    """Model FLOPs of the logits of one token."""
    return 2 * config.emb_dim * config.vocab_size


def layer_weights(config: DecoderConfig) -> int:
    """Weights of one layer that a token is multiplied by."""
    heads = 2 * config.num_heads + 2 * config.num_kv_heads
    return config.emb_dim * (heads * config.head_dim + 3 * config.mlp_dim)


def parameter_count(config: DecoderConfig) -> int:
    """Number of parameters, embedding, norms and biases included."""
    norms = (4 if config.post_norms else 2) * config.emb_dim + 2 * config.head_dim * config.query_key_norm
    biases = (config.num_heads + 2 * config.num_kv_heads) * config.head_dim * config.qkv_bias
    tables = 1 if config.logits_via_embedding else 2
    return (
        config.num_layers * (layer_weights(config) + norms + biases)
        + (tables * config.vocab_size + 1) * config.emb_dim
    )
