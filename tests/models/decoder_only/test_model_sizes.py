"""The gin files of decoders are the networks they are named for."""

import argparse

import jax.numpy as jnp
import pytest

from llmrec_jax.models.decoder_only import DecoderConfig, LinearRope, Llama3Rope
from llmrec_jax.models.decoder_only.flops import parameter_count
from llmrec_jax.runs import gin_config

# Of the published checkpoints; of Gemma 3 4B without what sees images.
PUBLISHED = {
    'llama_2_7b': 6_738_415_616,
    'llama_2_13b': 13_015_864_320,
    'llama_3_1_8b': 8_030_261_248,
    'llama_3_2_1b': 1_235_814_400,
    'llama_3_2_3b': 3_212_749_824,
    'qwen_2_5_0_5b': 494_032_768,
    'qwen_2_5_1_5b': 1_543_714_304,
    'qwen_2_5_7b': 7_615_616_512,
    'qwen_3_0_6b': 596_049_920,
    'qwen_3_1_7b': 1_720_574_976,
    'qwen_3_4b': 4_022_468_096,
    'qwen_3_8b': 8_190_735_360,
    'gemma_2_2b': 2_614_341_888,
    'gemma_3_270m': 268_098_176,
    'gemma_3_1b': 999_885_952,
    'gemma_3_4b': 3_880_263_168,
    'smollm2_135m': 134_515_008,
}


def size(name: str) -> DecoderConfig:
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    _, arguments = gin_config.parse_arguments(parser, [f'--gin_file=gin_configs/models/{name}.gin'])
    return gin_config.instantiate(DecoderConfig, gin_config.load(arguments))


@pytest.mark.parametrize('name', PUBLISHED)
def test_sizes_have_the_published_number_of_parameters(name):
    config = size(name)
    # `test_network` has that the formula counts what there is.
    assert parameter_count(config) == PUBLISHED[name]
    assert config.dtype == jnp.bfloat16 and config.scan_layers
    assert config.norm_plus_one == config.scaled_embeddings == config.post_norms == ('gemma' in name)
    assert config.query_key_norm == (name.startswith(('qwen_3', 'gemma_3')))


def test_positions_are_scaled_as_published():
    assert size('llama_3_1_8b').rope_scaling == Llama3Rope(8.0, 1.0, 4.0, 8192)
    assert size('llama_3_2_1b').rope_scaling == Llama3Rope(32.0, 1.0, 4.0, 8192)
    gemma = size('gemma_3_4b')
    assert gemma.rope_scaling == LinearRope(8.0) and gemma.local_rope_base == 10_000
    assert [layer for layer in range(34) if not gemma.is_local(layer)] == [5, 11, 17, 23, 29]
