"""Names, axes and numbers of the parameters: what lets T5X's checkpoints and partitioners work with ours."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from flax.linen import partitioning

from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.models.t5.layer_stack import stack_layers, unstack_layers

ATTENTION = {
    'query': ('embed', 'joined_kv'),
    'key': ('embed', 'joined_kv'),
    'value': ('embed', 'joined_kv'),
    'out': ('joined_kv', 'embed'),
}


def abstract_variables(config):
    tokens = jax.ShapeDtypeStruct((1, 4), jnp.int32)

    def init(key, tokens):
        return Transformer(config).init(key, tokens, tokens, tokens, enable_dropout=False)

    return jax.eval_shape(init, jax.random.key(0), tokens)


def t5x_axes(gated: bool, tied: bool, encoder_layers: int, decoder_layers: int) -> dict:
    """Path to logical axes, as T5X's own network declares them."""
    axes = {
        'token_embedder/embedding': ('vocab', 'embed'),
        'encoder/relpos_bias/rel_embedding': ('heads', 'relpos_buckets'),
        'decoder/relpos_bias/rel_embedding': ('heads', 'relpos_buckets'),
        'encoder/encoder_norm/scale': ('embed',),
        'decoder/decoder_norm/scale': ('embed',),
    }
    if not tied:
        axes['decoder/logits_dense/kernel'] = ('embed', 'vocab')
    blocks = [
        (f'encoder/layers_{layer}', ('attention',), ('attention', 'mlp')) for layer in range(encoder_layers)
    ]
    blocks += [
        (
            f'decoder/layers_{layer}',
            ('self_attention', 'encoder_decoder_attention'),
            ('self_attention', 'cross_attention', 'mlp'),
        )
        for layer in range(decoder_layers)
    ]
    for prefix, attentions, norms in blocks:
        for attention in attentions:
            axes |= {f'{prefix}/{attention}/{name}/kernel': axis for name, axis in ATTENTION.items()}
        for norm in norms:
            axes[f'{prefix}/pre_{norm}_layer_norm/scale'] = ('embed',)
        for name in ('wi_0', 'wi_1') if gated else ('wi',):
            axes[f'{prefix}/mlp/{name}/kernel'] = ('embed', 'mlp')
        axes[f'{prefix}/mlp/wo/kernel'] = ('mlp', 'embed')
    return axes


@pytest.mark.parametrize('tied', [False, True])
@pytest.mark.parametrize('activations', [('relu',), ('gelu', 'linear')])
def test_names_and_logical_axes_are_those_of_t5x(config, tied, activations):
    config = dataclasses.replace(config, mlp_activations=activations, logits_via_embedding=tied)
    variables = abstract_variables(config)
    names = partitioning.get_axis_names(variables['params_axes'])
    axes = {path: tuple(names) for path, names in traverse_util.flatten_dict(names, sep='/').items()}
    expected = t5x_axes(len(activations) > 1, tied, config.num_encoder_layers, config.num_decoder_layers)
    assert axes == expected
    shapes = {
        path: leaf.shape for path, leaf in traverse_util.flatten_dict(variables['params'], sep='/').items()
    }
    assert shapes.keys() == expected.keys()
    assert all(len(shapes[path]) == len(expected[path]) for path in shapes)
    assert shapes['encoder/layers_0/attention/query/kernel'] == (16, 8)
    assert shapes['encoder/relpos_bias/rel_embedding'] == (2, 32)


@pytest.mark.parametrize(('width', 'blocks', 'total'), [(128, 4.46e6, 4.84e6), (384, 13.37e6, 14.53e6)])
def test_tiger_sizes_have_the_parameters_that_the_paper_admits(width, blocks, total):
    config = T5Config(
        vocab_size=3027,
        emb_dim=width,
        num_heads=6,
        head_dim=64,
        mlp_dim=1024,
        num_encoder_layers=4,
        num_decoder_layers=4,
        logits_via_embedding=True,
    )
    params = traverse_util.flatten_dict(abstract_variables(config)['params'], sep='/')
    embedding = np.prod(params['token_embedder/embedding'].shape)
    counted = sum(np.prod(leaf.shape) for leaf in params.values())
    assert counted - embedding == pytest.approx(blocks, rel=0.002)
    assert counted == pytest.approx(total, rel=0.002)


def test_scanned_layers_are_stacked_along_a_named_axis(config):
    variables = abstract_variables(dataclasses.replace(config, scan_layers=True, num_decoder_layers=3))
    kernel = variables['params']['decoder']['layers']['self_attention']['query']['kernel']
    assert kernel.shape == (3, 16, 8)
    names = partitioning.get_axis_names(variables['params_axes'])
    assert tuple(names['decoder']['layers']['self_attention']['query']['kernel']) == (
        'layers',
        'embed',
        'joined_kv',
    )


def test_unstacking_inverts_stacking(params):
    restored = unstack_layers(stack_layers(params))
    jax.tree.map(np.testing.assert_array_equal, restored, params)


def test_query_kernels_carry_the_attention_scale():
    config = T5Config(
        vocab_size=8, emb_dim=256, num_heads=8, head_dim=64, num_encoder_layers=1, num_decoder_layers=1
    )
    tokens = jnp.ones((1, 2), jnp.int32)
    variables = Transformer(config).init(jax.random.key(0), tokens, tokens, tokens, enable_dropout=False)
    attention = variables['params']['encoder']['layers_0']['attention']
    ratio = np.std(attention['key']['kernel']) / np.std(attention['query']['kernel'])
    assert ratio == pytest.approx(8, rel=0.02)


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('vocab_size', 0),
        ('dropout_rate', 1.0),
        ('remat_policy', 'some'),
        ('mlp_activations', ('tanhh',)),
        ('mlp_activations', ()),
    ],
)
def test_impossible_configuration_is_refused_by_name(config, field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(config, **{field: value})
