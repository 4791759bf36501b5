"""Our T5 against transformers' on the same random weights, saved and read back as users do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.hf_weights import load_hf, read_tensors, write_hf
from llmrec_jax.models.hf_weights.names import parameter_shapes
from llmrec_jax.models.sentence_t5 import SentenceT5, SentenceTransformersFolder
from llmrec_jax.models.t5 import T5Config, Transformer

pytestmark = pytest.mark.parity
# transformers 5 ties the head of 1.1 too unless a checkpoint brings one; both sorts of checkpoint exist.
VERSIONS = {
    '1.0': {'feed_forward_proj': 'relu', 'tie_word_embeddings': True},
    '1.1': {'feed_forward_proj': 'gated-gelu', 'tie_word_embeddings': False},
    '1.1 with the embedding as head': {'feed_forward_proj': 'gated-gelu', 'tie_word_embeddings': False},
}
SIZES = {'d_model': 32, 'd_kv': 8, 'd_ff': 48, 'num_heads': 4, 'num_layers': 3, 'num_decoder_layers': 2}


def randomized(network):
    """Norms and biases away from their initial values, so that a mix-up shows."""
    torch = pytest.importorskip('torch')
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def tokens(rows, length, shortest, vocab_size=100):
    rng = np.random.default_rng(0)
    lengths = np.linspace(shortest, length, rows).astype(int)
    return rng.integers(2, vocab_size, (rows, length)) * (np.arange(length) < lengths[:, None])


@pytest.mark.parametrize('version', VERSIONS)
def test_logits_loss_and_gradients_agree(tmp_path, version):
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    hf_config = transformers.T5Config(
        vocab_size=100, dropout_rate=0.0, decoder_start_token_id=0, **SIZES, **VERSIONS[version]
    )
    network = transformers.T5ForConditionalGeneration(hf_config)
    if version == '1.1':
        network.lm_head.weight = torch.nn.Parameter(0.1 * torch.randn(100, 32))
    network = randomized(network)
    network.save_pretrained(tmp_path)
    # Beyond 128 tokens all distances share a bucket.
    inputs, targets = tokens(4, 150, 20), tokens(4, 7, 2)

    labels = torch.tensor(np.where(targets == 0, -100, targets))
    output = network(input_ids=torch.tensor(inputs), attention_mask=torch.tensor(inputs != 0), labels=labels)
    output.loss.backward()

    config, params = load_hf(tmp_path)
    model = EncoderDecoderModel(Transformer(config), loss_normalizing_factor='NUM_REAL_TARGET_TOKENS')
    batch = model.convert_features({'inputs': inputs, 'targets': targets})
    logits = model.compute_logits(params, batch)
    real = targets != 0
    expected = output.logits.detach().numpy()
    np.testing.assert_allclose(np.asarray(logits)[real], expected[real], atol=1e-4)
    (loss, _), gradients = jax.value_and_grad(model.loss_fn, has_aux=True)(params, batch, None)
    np.testing.assert_allclose(loss, output.loss.item(), rtol=1e-5)
    layer = network.decoder.block[1].layer
    pairs = [
        (gradients['decoder']['layers_1']['self_attention']['query']['kernel'], layer[0].SelfAttention.q),
        (
            gradients['decoder']['layers_1']['encoder_decoder_attention']['out']['kernel'],
            layer[1].EncDecAttention.o,
        ),
        (gradients['decoder']['layers_1']['mlp']['wo']['kernel'], layer[2].DenseReluDense.wo),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs.weight.grad.numpy().T, atol=1e-4)
    if version != '1.1 with the embedding as head':
        np.testing.assert_allclose(
            gradients['token_embedder']['embedding'], network.shared.weight.grad.numpy(), atol=1e-4
        )


def exported(folder, version, **changes):
    """A network of ours with random parameters, written for transformers; also its model and parameters."""
    config = T5Config(
        vocab_size=100,
        emb_dim=32,
        num_heads=4,
        head_dim=8,
        mlp_dim=48,
        num_encoder_layers=3,
        num_decoder_layers=2,
        mlp_activations=('relu',) if version == '1.0' else ('gelu', 'linear'),
        logits_via_embedding=version == '1.0',
        dropout_rate=0.0,
    )
    rng = np.random.default_rng(1)
    params = {path: rng.normal(0, 0.3, shape) for path, shape in parameter_shapes(config).items()}
    params = {path: leaf.astype(np.float32) for path, leaf in params.items()}
    readers = {path: lambda leaf=leaf: leaf for path, leaf in params.items()}
    write_hf(folder, config, readers, **changes)
    params = jax.tree.map(jnp.asarray, traverse_util.unflatten_dict(params, sep='/'))
    return EncoderDecoderModel(Transformer(config)), params


@pytest.mark.parametrize('file_bytes', [10**9, 20000], ids=['one file', 'many files'])
@pytest.mark.parametrize('version', ['1.0', '1.1'])
def test_transformers_loads_what_is_exported(tmp_path, version, file_bytes):
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    model, params = exported(tmp_path / 'hf', version, file_bytes=file_bytes)
    network, loading = transformers.T5ForConditionalGeneration.from_pretrained(
        tmp_path / 'hf', output_loading_info=True
    )
    assert not any(loading.values()), loading
    network = network.eval()
    assert network.dtype == torch.float32 and network.generation_config.decoder_start_token_id == 0
    inputs, targets = tokens(4, 150, 20), tokens(4, 7, 2)
    batch = model.convert_features({'inputs': inputs, 'targets': targets})
    with torch.no_grad():
        output = network(
            input_ids=torch.tensor(inputs),
            attention_mask=torch.tensor(inputs != 0),
            decoder_input_ids=torch.tensor(np.asarray(batch['decoder_input_tokens'])),
        )
    encoded = np.asarray(model.module.apply({'params': params}, jnp.asarray(inputs), method='encode'))
    expected = output.encoder_last_hidden_state.numpy()
    np.testing.assert_allclose(encoded[inputs != 0], expected[inputs != 0], atol=1e-4)
    logits = np.asarray(model.compute_logits(params, batch))
    np.testing.assert_allclose(logits[targets != 0], output.logits.numpy()[targets != 0], atol=1e-4)
    encoder = transformers.T5EncoderModel.from_pretrained(tmp_path / 'hf').eval()
    with torch.no_grad():
        alone = encoder(input_ids=torch.tensor(inputs), attention_mask=torch.tensor(inputs != 0))
    np.testing.assert_array_equal(alone.last_hidden_state.numpy(), expected)


def test_what_transformers_saves_after_loading_an_export_is_the_export(tmp_path):
    transformers = pytest.importorskip('transformers')
    _, params = exported(tmp_path / 'ours', '1.1')
    network = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / 'ours')
    network.save_pretrained(tmp_path / 'theirs')
    ours, theirs = load_hf(tmp_path / 'ours'), load_hf(tmp_path / 'theirs')
    assert ours[0] == theirs[0]
    jax.tree.map(np.testing.assert_array_equal, theirs[1], params)
    assert read_tensors(tmp_path / 'ours').keys() == read_tensors(tmp_path / 'theirs').keys()


def train_tokenizer(directory, texts):
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_prefix=str(directory / 'spiece'),
        vocab_size=90,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_file=str(directory / 'spiece.model'))


def test_sentence_vectors_agree(tmp_path):
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    from safetensors.torch import save_file

    network = randomized(
        transformers.T5EncoderModel(transformers.T5Config(vocab_size=100, dropout_rate=0.0, **SIZES))
    )
    network.save_pretrained(tmp_path)
    projection = torch.randn(24, 32)
    (tmp_path / '2_Dense').mkdir()
    save_file({'linear.weight': projection}, tmp_path / '2_Dense' / 'model.safetensors')
    texts = [
        f'a {adjective} {noun}' * repeats
        for repeats, (adjective, noun) in enumerate(
            [('red', 'shampoo'), ('soft', 'brush'), ('gentle', 'night cream'), ('small', 'mirror')] * 3,
            start=1,
        )
    ]
    tokenizer = train_tokenizer(tmp_path, texts * 5)

    expected = []
    for text in texts:
        ids = torch.tensor([[*tokenizer.encode(text)[:63], 1]])
        pooled = network(input_ids=ids).last_hidden_state.mean(dim=1) @ projection.T
        expected.append(torch.nn.functional.normalize(pooled, dim=-1)[0].detach().numpy())
    encoder = SentenceT5(SentenceTransformersFolder(str(tmp_path)), max_tokens=64, batch_size=5)
    np.testing.assert_allclose(encoder.encode(texts), np.stack(expected), atol=1e-5)


def test_a_folder_that_does_not_fit_is_refused_by_name(tmp_path):
    transformers = pytest.importorskip('transformers')
    network = transformers.T5EncoderModel(transformers.T5Config(vocab_size=100, **SIZES))
    network.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r'no tensor .decoder\.'):
        load_hf(tmp_path)
    weights = tmp_path / 'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(ValueError, match='cut short'):
        load_hf(tmp_path)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match='safetensors'):
        load_hf(tmp_path)
