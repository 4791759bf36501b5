"""Adapters in PEFT's own hands: the same forward pass, the same merged weights, the same files."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from llmrec_jax.models.decoder_only import DecoderOnlyTransformer
from llmrec_jax.models.decoder_only.model import DecoderOnlyModel
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.hf_weights import load_hf, write_hf
from llmrec_jax.models.hf_weights.adapters import read_adapter, write_adapter
from llmrec_jax.models.hf_weights.layout import layout_of
from llmrec_jax.models.hf_weights.names import hf_name, parameter_shapes
from llmrec_jax.models.lora import Lora, is_adapter, merged
from llmrec_jax.models.t5 import Transformer
from tests.small_t5 import GATED, random_params, readers

torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')
peft = pytest.importorskip('peft')

pytestmark = pytest.mark.parity
LORA = Lora(('.*/(query|value|wi_0)', '.*/wo'), rank=3, alpha=6.0, dropout=0.0)
KERNELS = parameter_shapes(GATED)
BATCH = {
    'encoder_input_tokens': jnp.arange(2, 16).reshape(2, 7),
    'decoder_input_tokens': jnp.array([[0, 5, 6, 7], [0, 9, 10, 11]]),
    'decoder_target_tokens': jnp.array([[5, 6, 7, 8], [9, 10, 11, 12]]),
}


def base_params():
    return {path: 0.3 * value for path, value in random_params().items()}


@pytest.fixture(scope='module')
def hf_folder(tmp_path_factory):
    return write_hf(tmp_path_factory.mktemp('hf') / 'base', GATED, readers(base_params()))


@pytest.fixture
def theirs(hf_folder):
    network = transformers.T5ForConditionalGeneration.from_pretrained(hf_folder)
    return randomly_adapted(network, 'SEQ_2_SEQ_LM', ['q', 'v', 'wi_0', 'wo'])


def randomly_adapted(network, task_type, modules):
    """The network with PEFT's adapters, none of whose numbers an initializer makes."""
    config = peft.LoraConfig(task_type=task_type, r=3, lora_alpha=6, lora_dropout=0.0, target_modules=modules)
    adapted = peft.get_peft_model(network, config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if 'lora_' in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return adapted


def logits(network):
    batch = {name: torch.from_numpy(np.array(value, np.int64)) for name, value in BATCH.items()}
    with torch.no_grad():
        answered = network(
            input_ids=batch['encoder_input_tokens'], decoder_input_ids=batch['decoder_input_tokens']
        )
    return answered.logits.numpy()


def test_forward_and_merged_weights_equal_pefts_and_files_come_back(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / 'theirs')
    lora, adapters = read_adapter(tmp_path / 'theirs', KERNELS, hf_name)
    assert (lora.rank, lora.alpha, lora.dropout) == (3, 6.0, 0.0)
    config = dataclasses.replace(GATED, lora=lora)
    ours = EncoderDecoderModel(Transformer(config))
    params = traverse_util.unflatten_dict(base_params() | adapters, sep='/')
    np.testing.assert_allclose(ours.compute_logits(params, BATCH), logits(theirs), atol=1e-4)

    write_adapter(
        tmp_path / 'ours',
        lora,
        adapters,
        KERNELS,
        hf_name,
        task_type='SEQ_2_SEQ_LM',
        base=theirs.peft_config['default'].base_model_name_or_path,
    )
    weights = 'adapter_model.safetensors'
    assert (tmp_path / 'ours' / weights).read_bytes() == (tmp_path / 'theirs' / weights).read_bytes()

    whole = traverse_util.flatten_dict(merged(params, lora), sep='/')
    their_weights = theirs.merge_and_unload().state_dict()
    for path, value in whole.items():
        name = hf_name(path)
        if path.endswith('/kernel'):
            np.testing.assert_allclose(value, their_weights[name].numpy().T, atol=1e-5, err_msg=path)


def test_peft_answers_with_our_adapters_as_we_do(hf_folder, tmp_path):
    config = dataclasses.replace(GATED, lora=LORA)
    rng = np.random.default_rng(3)
    adapters = {
        path: 0.3 * rng.normal(size=shape).astype(np.float32)
        for path, shape in parameter_shapes(config).items()
        if is_adapter(path)
    }
    folder = write_adapter(
        tmp_path / 'adapter', LORA, adapters, KERNELS, hf_name, task_type='SEQ_2_SEQ_LM', base=str(hf_folder)
    )
    network = transformers.T5ForConditionalGeneration.from_pretrained(hf_folder)
    plain = logits(network)
    adapted = peft.PeftModel.from_pretrained(network, folder).eval()
    params = traverse_util.unflatten_dict(base_params() | adapters, sep='/')
    expected = EncoderDecoderModel(Transformer(config)).compute_logits(params, BATCH)
    assert np.abs(logits(adapted) - plain).max() > 0.1
    np.testing.assert_allclose(logits(adapted), expected, atol=1e-4)


def test_a_llama_s_adapters_equal_pefts(tmp_path):
    network = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=100, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
        )
    ).eval()  # fmt: skip
    network.save_pretrained(tmp_path / 'base')
    config, params = load_hf(tmp_path / 'base')
    layout = layout_of(config)
    modules = ['q_proj', 'v_proj', 'down_proj']
    adapted = randomly_adapted(network, 'CAUSAL_LM', modules)
    adapted.save_pretrained(tmp_path / 'theirs')
    kernels = layout.parameter_shapes(config)
    lora, adapters = read_adapter(tmp_path / 'theirs', kernels, layout.hf_name)
    tokens = np.random.default_rng(0).integers(2, 100, (2, 9))
    with torch.no_grad():
        expected = adapted(torch.from_numpy(tokens)).logits.numpy()
    found = DecoderOnlyModel(DecoderOnlyTransformer(dataclasses.replace(config, lora=lora))).compute_logits(
        traverse_util.unflatten_dict(traverse_util.flatten_dict(params, sep='/') | adapters, sep='/'),
        {'decoder_input_tokens': tokens.astype(np.int32)},
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)
    write_adapter(
        tmp_path / 'ours', lora, adapters, kernels, layout.hf_name, task_type=layout.task_type, base='x'
    )
    weights = 'adapter_model.safetensors'
    assert (tmp_path / 'ours' / weights).read_bytes() == (tmp_path / 'theirs' / weights).read_bytes()
    assert json.loads((tmp_path / 'ours' / 'adapter_config.json').read_text())['target_modules'] == sorted(
        modules
    )
