"""Model FLOPs and parameters of the T5 encoder-decoder, by formula.

A multiplication with its addition counts as two. Counted are the matrix products of the network:
projections, feed-forward, attention over whole padded lengths (a causal mask saves nothing) and the output
head. Left out is what costs little or is no part of the model: norms, softmax, dropout, the relative bias,
the look-up of embeddings however it is done, and what rematerialization computes twice. This is the
numerator of model FLOPs utilisation; the compiler's `cost_analysis` will not do, because it counts the body
of a scan once.
"""

from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.layers import BUCKETS

# For each product of the forward pass, the backward pass has two: for its inputs and for its weights.
FORWARD_AND_BACKWARD = 3
# A frozen weight has no gradient.
FORWARD_AND_INPUTS = 2


def train_flops(config: T5Config, examples: int, input_length: int, target_length: int) -> int:
    """Model FLOPs of the forward and backward pass over padded examples.

    Of a network with low-rank adapters, what they adapt is frozen; their own products, which are narrow, are
    not counted.

    Args:
      config: the network's shape.
      examples: rows of the batch.
      input_length: padded tokens of an input.
      target_length: padded tokens of a target.
    """
    passes = FORWARD_AND_BACKWARD if config.lora is None else FORWARD_AND_INPUTS
    return passes * forward_flops(config, examples, input_length, target_length)


def forward_flops(config: T5Config, examples: int, input_length: int, target_length: int) -> int:
    """Model FLOPs of the teacher-forced forward pass; the arguments are those of `train_flops`."""
    encoder = encoder_flops(config, examples, input_length)
    tokens = examples * target_length
    return (
        encoder
        + cross_keys_values_flops(config, examples, input_length)
        + tokens * decoder_token_flops(config, input_length, target_length)
    )


def encoder_flops(config: T5Config, examples: int, input_length: int) -> int:
    """Model FLOPs of encoding inputs."""
    token = 2 * (_attention_weights(config) + _feed_forward_weights(config))
    token += _attention_flops(config, input_length)
    return examples * input_length * config.num_encoder_layers * token


def cross_keys_values_flops(config: T5Config, examples: int, input_length: int) -> int:
    """Model FLOPs of the decoder's keys and values of the encoder's output."""
    return examples * input_length * config.num_decoder_layers * _attention_weights(config)


def decoder_token_flops(config: T5Config, input_length: int, target_length: int) -> int:
    """Model FLOPs of one target token in the decoder, its logits included.

    Args:
      config: the network's shape.
      input_length: encoder positions that the token attends to.
      target_length: decoder positions that it attends to.
    """
    # The cross-attention's keys and values are no work of this token: half of its projections.
    weights = _attention_weights(config) * 3 // 2 + _feed_forward_weights(config)
    layer = 2 * weights + _attention_flops(config, input_length + target_length)
    return config.num_decoder_layers * layer + 2 * config.emb_dim * config.vocab_size


def parameter_count(config: T5Config) -> int:
    """Number of parameters, embedding, norms and relative biases included."""
    norm, bias = config.emb_dim, config.num_heads * BUCKETS
    encoder_layer = _attention_weights(config) + _feed_forward_weights(config) + 2 * norm
    decoder_layer = 2 * _attention_weights(config) + _feed_forward_weights(config) + 3 * norm
    tables = 1 if config.logits_via_embedding else 2
    return (
        config.num_encoder_layers * encoder_layer
        + config.num_decoder_layers * decoder_layer
        + 2 * (norm + bias)
        + (tables * config.vocab_size + config.whole_word_embeddings) * config.emb_dim
    )


def weights_met(config: T5Config) -> tuple[int, int]:
    """How many weights an input token is multiplied by, and how many a target token.

    `train_flops` is 6 x (the former x input tokens + the latter x target tokens) and the attention's share.
    Inputs pass the encoder and the decoder's keys and values of it, targets the rest of the decoder and the
    output head; embeddings are looked up.
    """
    attention, feed_forward = _attention_weights(config), _feed_forward_weights(config)
    inputs = (
        config.num_encoder_layers * (attention + feed_forward) + config.num_decoder_layers * attention // 2
    )
    targets = config.num_decoder_layers * (attention * 3 // 2 + feed_forward)
    return inputs, targets + config.emb_dim * config.vocab_size


def _attention_weights(config: T5Config) -> int:
    """Weights of query, key, value and output of one attention."""
    return 4 * config.emb_dim * config.num_heads * config.head_dim


def _feed_forward_weights(config: T5Config) -> int:
    return (len(config.mlp_activations) + 1) * config.emb_dim * config.mlp_dim


def _attention_flops(config: T5Config, keys: int) -> int:
    """FLOPs of one query's scores with `keys` keys and of the mixture of their values."""
    return 2 * 2 * keys * config.num_heads * config.head_dim
