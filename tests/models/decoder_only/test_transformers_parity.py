"""Every family against transformers' own on the same random weights, saved and read back as users do."""

import filecmp

import jax
import numpy as np
import pytest
from flax import traverse_util

from llmrec_jax.decoding.beam import Beam
from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.models.decoder_only import DecoderOnlyTransformer
from llmrec_jax.models.decoder_only.model import DecoderOnlyModel
from llmrec_jax.models.hf_weights import load_hf, write_hf
from tests.small_t5 import readers

pytestmark = pytest.mark.parity
SIZES = {
    'vocab_size': 100,
    'hidden_size': 32,
    'intermediate_size': 48,
    'num_hidden_layers': 3,
    'num_attention_heads': 4,
    'max_position_embeddings': 128,
    'eos_token_id': 99,
    'pad_token_id': 0,
    'bos_token_id': 1,
}
LLAMA_3 = {
    'rope_type': 'llama3',
    'rope_theta': 500.0,
    'factor': 8.0,
    'low_freq_factor': 1.0,
    'high_freq_factor': 4.0,
    'original_max_position_embeddings': 32,
}
GEMMA = {'num_key_value_heads': 2, 'head_dim': 12, 'query_pre_attn_scalar': 20, 'sliding_window': 5}
FAMILIES = {
    'llama 2': ('Llama', {}),
    'llama 3': ('Llama', {'num_key_value_heads': 2, 'rope_parameters': LLAMA_3}),
    'llama 3, tied': ('Llama', {'num_key_value_heads': 2, 'tie_word_embeddings': True, 'head_dim': 12}),
    'qwen 2': ('Qwen2', {'num_key_value_heads': 2}),
    'qwen 2, tied': ('Qwen2', {'num_key_value_heads': 1, 'tie_word_embeddings': True}),
    'qwen 3': ('Qwen3', {'num_key_value_heads': 2, 'head_dim': 12}),
    'gemma 2': ('Gemma2', GEMMA),
    'gemma 3': (
        'Gemma3',
        {
            **GEMMA,
            'sliding_window_pattern': 2,
            'rope_parameters': {
                'full_attention': {'rope_type': 'linear', 'factor': 8.0, 'rope_theta': 1000.0},
                'sliding_attention': {'rope_type': 'default', 'rope_theta': 100.0},
            },
        },
    ),
}
INPUTS = np.random.default_rng(0).integers(2, 99, (3, 40)) * (np.arange(40) < np.array([[40], [25], [31]]))


@pytest.fixture(scope='module', params=FAMILIES)
def family(request, tmp_path_factory):
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    kind, settings = FAMILIES[request.param]
    config = getattr(transformers, f'{kind}TextConfig' if kind == 'Gemma3' else f'{kind}Config')
    torch.manual_seed(0)
    network = getattr(transformers, f'{kind}ForCausalLM')(config(**{**SIZES, **settings}))
    # Norms and biases away from their initial values, so that a mix-up shows.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    folder = tmp_path_factory.mktemp('hf')
    network.eval().save_pretrained(folder)
    config, params = load_hf(folder)
    return network, folder, config, jax.device_put(params)


def theirs(network, rows):
    torch = pytest.importorskip('torch')
    with torch.no_grad():
        return network(torch.tensor(rows)).logits.numpy()


def test_logits_and_gradients_agree(family):
    torch = pytest.importorskip('torch')
    network, _, config, params = family
    decoder = DecoderOnlyModel(DecoderOnlyTransformer(config), start_token=None)
    rows = INPUTS[:1]
    targets = rows[:, 30:]
    batch = decoder.convert_features({'inputs': rows[:, :30], 'targets': targets})
    logits = jax.jit(decoder.compute_logits)(params, batch)
    np.testing.assert_allclose(logits, theirs(network, rows), atol=1e-4)
    labels = torch.tensor(np.concatenate([np.full((1, 30), -100), targets], axis=1))
    network.zero_grad()
    loss = network(torch.tensor(rows), labels=labels).loss
    loss.backward()
    (found, gradient) = jax.jit(jax.value_and_grad(lambda params: decoder.loss_sums(params, batch)[0] / 10))(
        params
    )
    np.testing.assert_allclose(found, loss.item(), rtol=1e-5)
    layer, ours = network.model.layers[1], gradient['decoder']['layers_1']
    pairs = [
        (ours['self_attention']['key']['kernel'].T, layer.self_attn.k_proj.weight),
        (ours['mlp']['wi_0']['kernel'].T, layer.mlp.gate_proj.weight),
        (ours['post_self_attention_layer_norm']['scale'], layer.post_attention_layernorm.weight),
        (gradient['token_embedder']['embedding'], network.model.embed_tokens.weight),
    ]
    for mine, other in pairs:
        np.testing.assert_allclose(mine, other.grad.numpy(), atol=1e-4)


def test_cached_texts_of_unequal_prompts_agree(family):
    torch = pytest.importorskip('torch')
    network, _, config, params = family
    decoder = DecoderOnlyModel(DecoderOnlyTransformer(config), start_token=None)
    batch = decoder.convert_features({'inputs': INPUTS})
    found = {
        1: jax.jit(lambda params: decoder.generate(params, batch, Greedy(6, end_token=99)))(params),
        3: jax.jit(lambda params: decoder.generate(params, batch, Beam(6, 3, end_token=99)))(params),
    }
    for row, tokens in enumerate(INPUTS):
        prompt = torch.tensor(tokens[tokens != 0][None])
        for beams, ours in found.items():
            texts = network.generate(
                prompt, max_new_tokens=6, num_beams=beams, num_return_sequences=beams, do_sample=False
            )[:, prompt.shape[1] :].numpy()
            texts = np.pad(texts, ((0, 0), (0, 6 - texts.shape[1])))
            np.testing.assert_array_equal(np.asarray(ours.tokens)[row], texts)


def test_a_folder_that_is_read_is_written_as_it_was(family, tmp_path):
    network, folder, config, params = family
    flat = traverse_util.flatten_dict(jax.device_get(params), sep='/')
    written = write_hf(tmp_path / 'again', config, readers(flat), tokens={'eos_token_id': 99})
    assert filecmp.cmp(written / 'model.safetensors', folder / 'model.safetensors', shallow=False)
    read, _ = load_hf(written)
    assert read == config
    transformers = pytest.importorskip('transformers')
    again = transformers.AutoModelForCausalLM.from_pretrained(written).eval()
    assert type(again) is type(network) and again.config.eos_token_id == 99
    rows = INPUTS[:1]
    np.testing.assert_array_equal(theirs(again, rows), theirs(network, rows))
    # What transformers 5 writes of what we wrote is what it wrote before.
    again.save_pretrained(tmp_path / 'theirs')
    assert load_hf(tmp_path / 'theirs')[0] == config
