"""The gin files of model sizes are the networks they are named for."""

import argparse

import jax
import jax.numpy as jnp
import pytest

from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.runs import gin_config

# Counted by formula from the shapes that Raffel et al. and Google's t5.1.1 release give: 77 M, 248 M, 783 M,
# 2.85 B and 11.1 B, which are also the counts of the published checkpoints.
PUBLISHED = {
    'small': 76_961_152,
    'base': 247_577_856,
    'large': 783_150_080,
    'xl': 2_849_757_184,
    'xxl': 11_135_332_352,
}
# Raffel et al. (2020), section 3.7, and the published checkpoints: 60 M, 220 M, 770 M, 3 B and 11 B.
PUBLISHED_1_0 = {
    'small': 60_506_624,
    'base': 222_903_552,
    'large': 737_668_096,
    '3b': 2_851_598_336,
    '11b': 11_307_321_344,
}
# P5 (Geng et al., 2022, section 5.1) cuts the embedding to the 32,100 tokens of the vocabulary and adds 512
# whole-word embeddings: 60.75 M and 223.28 M.
P5_ROWS, P5_WHOLE_WORDS = 32_100, 512
P5 = {'small': 60_754_432, 'base': 223_275_264}


def size(name: str, *bindings: str) -> T5Config:
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    flags = [f'--gin_file=gin_configs/models/{name}.gin', *bindings]
    _, arguments = gin_config.parse_arguments(parser, flags)
    return gin_config.instantiate(T5Config, gin_config.load(arguments))


def shapes(config: T5Config):
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    network = Transformer(config)
    words = tokens if config.whole_word_embeddings else None
    return jax.eval_shape(
        lambda tokens, words: network.init(
            jax.random.key(0), tokens, tokens, tokens, encoder_whole_word_ids=words
        )['params'],
        tokens,
        words,
    )


def counted_by_formula(config: T5Config) -> int:
    width, joined = config.emb_dim, config.num_heads * config.head_dim
    attention = 4 * width * joined
    feed_forward = (len(config.mlp_activations) + 1) * width * config.mlp_dim
    encoder = config.num_encoder_layers * (attention + feed_forward + 2 * width)
    decoder = config.num_decoder_layers * (2 * attention + feed_forward + 3 * width)
    tables = (1 if config.logits_via_embedding else 2) * config.vocab_size * width
    return encoder + decoder + tables + 2 * width + 2 * 32 * config.num_heads


@pytest.mark.parametrize('family', ['t5_1_1', 'flan_t5'])
@pytest.mark.parametrize('name', list(PUBLISHED))
def test_t5_sizes_have_the_published_number_of_parameters(family, name):
    config = size(f'{family}_{name}')
    counted = sum(leaf.size for leaf in jax.tree.leaves(shapes(config)))
    assert counted == counted_by_formula(config) == PUBLISHED[name]
    assert config.dtype == jnp.bfloat16 and config.scan_layers and not config.logits_via_embedding


@pytest.mark.parametrize('name', list(PUBLISHED_1_0))
def test_t5_1_0_sizes_have_the_published_number_of_parameters(name):
    config = size(f't5_1_0_{name}')
    counted = sum(leaf.size for leaf in jax.tree.leaves(shapes(config)))
    assert counted == counted_by_formula(config) == PUBLISHED_1_0[name]
    assert config.dtype == jnp.bfloat16 and config.scan_layers and config.logits_via_embedding


@pytest.mark.parametrize('name', list(P5))
def test_p5_has_the_published_number_of_parameters(name):
    changes = {'vocab_size': P5_ROWS, 'whole_word_embeddings': P5_WHOLE_WORDS}
    config = size(
        f't5_1_0_{name}', *(f'--gin.config.T5Config.{key}={value}' for key, value in changes.items())
    )
    counted = sum(leaf.size for leaf in jax.tree.leaves(shapes(config)))
    assert counted == P5[name]
    assert f'{P5[name] / 1e6:.2f}' == {'small': '60.75', 'base': '223.28'}[name]


def test_tiger_at_scale_has_a_billion_parameters():
    config = size('tiger_1b', '--gin.config.T5Config.vocab_size=3200')
    counted = sum(leaf.size for leaf in jax.tree.leaves(shapes(config)))
    assert counted == counted_by_formula(config) == pytest.approx(1e9, rel=0.06)
