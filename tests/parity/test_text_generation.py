"""Generated texts against transformers' `generate` on the same random weights."""

import functools

import jax
import numpy as np
import pytest

from llmrec_jax.decoding.beam import Beam
from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.hf_weights import load_hf
from llmrec_jax.models.t5 import Transformer

pytestmark = pytest.mark.parity
VOCAB, LENGTH, ROWS = 20, 11, 40
VERSIONS = {
    'T5 1.0, tied': {'feed_forward_proj': 'relu', 'tie_word_embeddings': True},
    'T5 1.1, untied': {'feed_forward_proj': 'gated-gelu', 'tie_word_embeddings': False},
}


@pytest.fixture(scope='module', params=VERSIONS)
def peers(request, tmp_path_factory):
    """Their network, our jitted `generate` with its parameters, and padded inputs."""
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    torch.manual_seed(0)
    network = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=VOCAB,
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=2,
            num_heads=2,
            decoder_start_token_id=0,
            **VERSIONS[request.param],
        )
    ).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    directory = tmp_path_factory.mktemp('weights')
    network.save_pretrained(directory)
    config, params = load_hf(directory)
    model = EncoderDecoderModel(module=Transformer(config))
    random = np.random.default_rng(0)
    inputs = random.integers(2, VOCAB, (ROWS, 9)) * (np.arange(9) < random.integers(2, 10, (ROWS, 1)))
    batch = model.convert_features({'inputs': inputs})
    ours = functools.partial(jax.jit(model.generate, static_argnames='decoder'), params, batch)
    return network, ours, inputs


def their_texts(network, inputs, **options):
    """Tokens behind the start token [rows, n, LENGTH], and the scores of a beam search."""
    import torch

    tokens = torch.tensor(inputs)
    found = network.generate(
        tokens,
        attention_mask=(tokens > 0).long(),
        max_new_tokens=LENGTH,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )
    texts = found.sequences[:, 1:].numpy().reshape(len(inputs), -1, found.sequences.shape[1] - 1)
    texts = np.pad(texts, ((0, 0), (0, 0), (0, LENGTH - texts.shape[-1])))
    # Behind the end token, transformers' beam search repeats it where the padding token is 0.
    after = np.cumsum(texts == 1, axis=-1) - (texts == 1)
    return np.where(after > 0, 0, texts), found


def test_greedy_texts_agree(peers):
    network, ours, inputs = peers
    texts, _ = their_texts(network, inputs)
    generated = ours(Greedy(LENGTH))
    np.testing.assert_array_equal(generated.tokens, texts)
    ended = (texts == 1).any(axis=-1)
    assert ended.any()
    np.testing.assert_array_equal(
        generated.lengths, np.where(ended, (texts == 1).argmax(axis=-1) + 1, LENGTH)
    )


@pytest.mark.parametrize(
    ('beams', 'length_penalty', 'min_length'), [(1, 1.0, 0), (6, 1.0, 0), (6, 0.0, 0), (4, 2.0, 3)]
)
def test_beams_their_order_and_scores_agree(peers, beams, length_penalty, min_length):
    network, ours, inputs = peers
    options = {'num_beams': beams, 'num_return_sequences': beams, 'min_new_tokens': min_length}
    if beams > 1:
        options['length_penalty'] = length_penalty
    texts, found = their_texts(network, inputs, **options)
    generated = ours(Beam(LENGTH, beams, length_penalty=length_penalty, min_length=min_length))
    np.testing.assert_array_equal(generated.tokens, texts)
    ended = (texts == 1).any(axis=-1)
    assert ended.any() and (min_length == 0 or (texts != 1)[:, :, :min_length].all())
    if beams > 1:
        scores = found.sequences_scores.numpy().reshape(len(inputs), beams)
        np.testing.assert_allclose(generated.scores, scores, rtol=1e-4)
