"""Text vectors from a T5X checkpoint; the Hugging Face road is in tests/parity."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
import sentencepiece

from llmrec_jax.models.sentence_t5 import SentenceT5, SentenceTransformersFolder, T5xCheckpoint
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.text.text_encoder import TextEncoder
from tests.drawn_parameters import drawn_like

CONFIG = T5Config(
    vocab_size=96, emb_dim=16, num_heads=2, head_dim=4, mlp_dim=32, num_encoder_layers=1, num_decoder_layers=1
)
TEXTS = ['a red lipstick', 'a soft brush for the face and for the neck', 'night cream', 'lipstick, red']


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sentence_t5')
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 10),
        model_prefix=str(folder / 'vocabulary'),
        vocab_size=90,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    tokens = jnp.ones((1, 2), jnp.int32)
    shaped = jax.eval_shape(lambda: Transformer(CONFIG).init(jax.random.key(0), tokens, tokens, tokens))
    params = drawn_like(shaped['params'])
    projection = np.random.default_rng(0).standard_normal((16, 6)).astype(np.float32)
    target = params | {'projection_layer': {'kernel': projection}}
    ocp.PyTreeCheckpointer().save(folder / 'checkpoint_7' / 'state', {'target': target, 'state': {'step': 7}})
    return folder, params, projection


def encoder_of(folder: pathlib.Path, **fields) -> SentenceT5:
    source = T5xCheckpoint(str(folder / 'checkpoint_7'), str(folder / 'vocabulary.model'), CONFIG)
    return SentenceT5(source, **fields)


def test_vectors_are_projected_means_of_the_encoder(checkpoint):
    folder, params, projection = checkpoint
    encoder = encoder_of(folder, batch_size=3)
    assert isinstance(encoder, TextEncoder)
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / 'vocabulary.model'))
    encode = jax.jit(functools.partial(Transformer(CONFIG).apply, method='encode'))
    expected = []
    for text in TEXTS:
        tokens = jnp.asarray([[*tokenizer.encode(text), 1]])
        mean = encode({'params': params}, tokens)[0].mean(axis=0)
        expected.append(mean @ projection / np.linalg.norm(mean @ projection))
    np.testing.assert_allclose(encoder.encode(TEXTS), np.stack(expected), atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(checkpoint):
    encoder = encoder_of(checkpoint[0], batch_size=2)
    np.testing.assert_allclose(encoder.encode(TEXTS)[1:2], encoder.encode(TEXTS[1:2]), atol=1e-6)


def test_the_name_tells_settings_and_weights_apart(checkpoint, tmp_path):
    folder, params, _ = checkpoint
    name = encoder_of(folder).name
    assert name == encoder_of(folder, batch_size=9).name
    assert name != encoder_of(folder, max_tokens=8).name
    (tmp_path / 'vocabulary.model').write_bytes((folder / 'vocabulary.model').read_bytes())
    ocp.PyTreeCheckpointer().save(
        tmp_path / 'checkpoint_7' / 'state', {'target': params, 'state': {'step': 7}}
    )
    assert name != encoder_of(tmp_path).name


def test_bad_input_is_refused_by_name(checkpoint, tmp_path):
    encoder = encoder_of(checkpoint[0])
    with pytest.raises(ValueError, match='no texts'):
        encoder.encode([])
    with pytest.raises(ValueError, match=r"text 1 \('  '\) has no token"):
        encoder.encode(['fine', '  '])
    with pytest.raises(FileNotFoundError, match='checkpoint_7'):
        encoder_of(tmp_path).encode(['fine'])
    with pytest.raises(FileNotFoundError, match=r'config\.json'):
        SentenceT5(SentenceTransformersFolder(str(tmp_path))).encode(['fine'])
    (tmp_path / 'config.json').write_text('{"vocab_size": 96')
    with pytest.raises(ValueError, match='not JSON'):
        SentenceT5(SentenceTransformersFolder(str(tmp_path))).encode(['fine'])
