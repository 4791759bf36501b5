"""Model FLOPs and parameters: against the compiler's own count, the network itself, and numbers by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.models.t5.flops import (
    decoder_token_flops,
    encoder_flops,
    forward_flops,
    parameter_count,
    train_flops,
    weights_met,
)
from llmrec_jax.models.whole_words import WholeWords

GATED = T5Config(
    vocab_size=1024,
    emb_dim=512,
    num_heads=6,
    head_dim=64,
    mlp_dim=1024,
    num_encoder_layers=2,
    num_decoder_layers=3,
    mlp_activations=('gelu', 'linear'),
)
TIED = T5Config(
    vocab_size=2048,
    emb_dim=768,
    mlp_dim=2048,
    num_encoder_layers=3,
    num_decoder_layers=1,
    logits_via_embedding=True,
)
WHOLE_WORDS = dataclasses.replace(TIED, whole_word_embeddings=512)


def _shapes(model, examples, input_length, target_length):
    shapes = {
        'encoder_input_tokens': (examples, input_length),
        'decoder_input_tokens': (examples, target_length),
    }
    params = jax.eval_shape(lambda: model.get_initial_variables(jax.random.key(0), shapes))['params']
    batch = {name: jax.ShapeDtypeStruct(shape, jnp.int32) for name, shape in shapes.items()}
    batch['decoder_target_tokens'] = batch['decoder_input_tokens']
    return params, batch


@pytest.mark.parametrize(('config', 'lengths'), [(GATED, (128, 32)), (TIED, (64, 64)), (GATED, (512, 8))])
def test_formula_is_within_five_percent_of_the_unrolled_programs_own_count(config, lengths):
    model = EncoderDecoderModel(Transformer(config))
    params, batch = _shapes(model, 32, *lengths)

    def loss(params, batch):
        return model.loss_sums(params, batch)[0]

    forward = jax.jit(loss).lower(params, batch).cost_analysis()['flops']
    both = jax.jit(jax.value_and_grad(loss)).lower(params, batch).cost_analysis()['flops']
    assert forward_flops(config, 32, *lengths) == pytest.approx(forward, rel=0.05)
    assert train_flops(config, 32, *lengths) == pytest.approx(both, rel=0.05)


@pytest.mark.parametrize('config', [GATED, TIED, WHOLE_WORDS])
def test_parameters_are_those_of_the_network(config):
    whole_words = WholeWords() if config.whole_word_embeddings else None
    params, _ = _shapes(EncoderDecoderModel(Transformer(config), whole_words=whole_words), 1, 4, 4)
    assert parameter_count(config) == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_numbers_by_hand():
    config = T5Config(
        vocab_size=10,
        emb_dim=4,
        num_heads=2,
        head_dim=3,
        mlp_dim=5,
        num_encoder_layers=1,
        num_decoder_layers=2,
    )
    # Attention has 4 * 4 * 6 = 96 weights, the feed-forward 2 * 4 * 5 = 40; a query and key cost 4 * 6 = 24.
    assert encoder_flops(config, 1, 7) == 7 * (2 * (96 + 40) + 7 * 24)
    # 96 of the self-attention, 48 of the cross-attention's query and output; 7 + 3 keys; the head's 2 * 40.
    assert decoder_token_flops(config, 7, 3) == 2 * (2 * (96 + 48 + 40) + 10 * 24) + 2 * 40
    keys_and_values = 7 * 2 * 2 * 48
    whole = encoder_flops(config, 1, 7) + keys_and_values + 3 * decoder_token_flops(config, 7, 3)
    assert forward_flops(config, 1, 7, 3) == whole
    assert train_flops(config, 5, 7, 3) == 15 * whole


def test_six_times_parameters_times_tokens_is_the_greatest_part():
    """Inputs pass the encoder and the decoder's cross keys and values, targets the rest of the decoder."""
    layers = 4 * 512 * 384
    feed_forward = 3 * 512 * 1024
    of_inputs = 2 * (layers + feed_forward) + 3 * layers // 2
    of_targets = 3 * (layers + layers // 2 + feed_forward) + 512 * 1024
    expected = 6 * 32 * (128 * of_inputs + 16 * of_targets)
    attention = 3 * 4 * 384 * 32 * (2 * 128 * 128 + 3 * 16 * (128 + 16))
    assert train_flops(GATED, 32, 128, 16) == expected + attention
    assert weights_met(GATED) == (of_inputs, of_targets)
