"""MiniLM against `transformers`' BERT, on random weights and on the published ones if installed."""

import numpy as np
import pytest

from llmrec_jax.text.minilm import MiniLM
from llmrec_jax.text.minilm.files import model_directory as published_directory

pytestmark = pytest.mark.parity


def reference_vectors(directory, texts, limit):
    """By PyTorch: mean over the tokens, normalised, as 1_Pooling and 2_Normalize of sentence-transformers."""
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    model = transformers.BertModel.from_pretrained(directory).eval()
    tokenizer = transformers.BertTokenizerFast(vocab=str(directory / 'vocab.txt'))
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors='pt')
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state
    mask = inputs['attention_mask'][:, :, None].float()
    means = (hidden * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(means, dim=1).numpy()


def test_random_weights(tmp_path, tiny_config, tiny_sentence_files):
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    torch.manual_seed(0)
    config = {name: value for name, value in tiny_config.items() if name != 'model_type'}
    model = transformers.BertModel(transformers.BertConfig(**config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    tiny_sentence_files(tmp_path)
    rng = np.random.default_rng(0)
    words = ['red', 'blue', 'polish', 'brushes', 'the', '.', 'unknown', 'Red']
    texts = [' '.join(rng.choice(words, length)) for length in (1, 2, 3, 5, 9, 14, 15, 20, 28, 40)]
    vectors = MiniLM(str(tmp_path), batch_size=4).encode(texts)
    np.testing.assert_allclose(vectors, reference_vectors(tmp_path, texts, 32), atol=1e-5)


def test_published_weights():
    try:
        directory = published_directory(None)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    texts = [
        'A man is eating food.',
        'OPI Nail Lacquer, 0.5-Fluid Ounce. Brand: OPI. Categories: Beauty, Makeup, Nails.',
        'Crème brûlée™ — “Ünïcode” 东京',
        'long ' * 300,
    ]
    np.testing.assert_allclose(MiniLM().encode(texts), reference_vectors(directory, texts, 256), atol=1e-5)
