"""Small decoders that tests share; axes that could be mixed up differ."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from llmrec_jax.models.decoder_only import DecoderConfig, DecoderOnlyTransformer
from llmrec_jax.models.decoder_only.model import DecoderOnlyModel

LLAMA = DecoderConfig(
    vocab_size=40, emb_dim=16, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=6, mlp_dim=24
)
# All that Gemma 2, Gemma 3 and Qwen have beside; of three layers the second is global.
EVERYTHING = dataclasses.replace(
    LLAMA,
    num_layers=3,
    activation='gelu_tanh',
    logits_via_embedding=True,
    qkv_bias=True,
    query_key_norm=True,
    query_scale=0.3,
    attention_logit_soft_cap=5.0,
    final_logit_soft_cap=3.0,
    norm_plus_one=True,
    scaled_embeddings=True,
    post_norms=True,
    sliding_window=3,
    sliding_window_pattern=2,
    local_rope_base=100.0,
)


def random_params(config, seed=0):
    """Numbers that no initializer makes, as a tree, with one subtree a layer."""
    network = DecoderOnlyTransformer(dataclasses.replace(config, scan_layers=False))
    tokens = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), tokens)['params']
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(0.4 * rng.standard_normal(leaf.shape), jnp.float32), shapes)


def model(config=LLAMA, **settings):
    return DecoderOnlyModel(DecoderOnlyTransformer(config), **settings)


def task_batch(vocab_size=40, rows=4, inputs=7, targets=4):
    """Rows of 2 to 7 input tokens and 1 to 4 target tokens, padded with 0; 0 stands within them too."""
    rng = np.random.default_rng(0)
    lengths = {'inputs': rng.integers(2, inputs + 1, rows), 'targets': rng.integers(1, targets + 1, rows)}
    lengths['inputs'][0], lengths['targets'][0] = inputs, targets
    batch = {}
    for name, width in (('inputs', inputs), ('targets', targets)):
        tokens = rng.integers(1, vocab_size, (rows, width))
        tokens[0, 1] = 0
        batch[name] = tokens * (np.arange(width) < lengths[name][:, None])
    return batch
