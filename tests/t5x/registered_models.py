"""Every model class of the library, small; a new class joins with one entry, and both engines test it."""

import dataclasses
import functools
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.models.whole_words import WholeWords
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.semantic_ids.trie import build_trie
from tests.text.vocabularies import prompt_texts, sentencepiece_model

LAYOUT = TokenLayout(codebook_sizes=(8, 8, 4), user_tokens=16, multiple_of=64)
CODES = np.stack(np.unravel_index(np.arange(0, 8 * 8 * 4, 5), (8, 8, 4)), axis=1)
LENGTHS = {'inputs': 13, 'targets': 3}


@dataclasses.dataclass(frozen=True)
class RegisteredModel:
    """A model and what it is fed.

    Attributes:
      make: the model, its dropout off and its trie that of `CODES` where it searches one.
      task_batch: seed and number of examples to padded task features.
    """

    make: Callable[[], Any]
    task_batch: Callable[[int, int], dict[str, np.ndarray]]


def tiger_batch(seed: int, examples: int) -> dict[str, np.ndarray]:
    """A user's token and up to four items, and the next item."""
    rng = np.random.default_rng(seed)
    tokens = LAYOUT.item_tokens(CODES)
    inputs = np.zeros((examples, LENGTHS['inputs']), np.int32)
    for row in inputs:
        history = tokens[rng.integers(0, len(tokens), rng.integers(1, 5))].reshape(-1)
        row[0] = LAYOUT.user_offset + rng.integers(0, LAYOUT.user_tokens)
        row[1 : 1 + len(history)] = history
    return {'inputs': inputs, 'targets': tokens[rng.integers(0, len(tokens), examples)].astype(np.int32)}


def _encoder_decoder(with_whole_words: bool = False, **config: Any) -> RegisteredModel:
    def make() -> EncoderDecoderModel:
        network = T5Config(
            vocab_size=LAYOUT.vocab_size,
            emb_dim=32,
            num_heads=2,
            head_dim=16,
            mlp_dim=64,
            dropout_rate=0.0,
            whole_word_embeddings=8 if with_whole_words else 0,
            **{'num_encoder_layers': 1, 'num_decoder_layers': 1, **config},
        )
        ranges = tuple(zip(LAYOUT.level_offsets, LAYOUT.codebook_sizes, strict=True))
        return EncoderDecoderModel(
            module=Transformer(network),
            decode_fn=SemanticIdSearch(beam_size=4),
            trie=build_trie(LAYOUT.item_tokens(CODES), level_ranges=ranges),
            whole_words=WholeWords(_vocabulary()) if with_whole_words else None,
        )

    return RegisteredModel(make, tiger_batch)


@functools.cache
def _vocabulary() -> str:
    """A SentencePiece model of 64 tokens, some of which begin words."""
    model = sentencepiece_model(prompt_texts(500), 64)
    path = pathlib.Path(tempfile.mkdtemp()) / 'spiece.model'
    path.write_bytes(model)
    return str(path)


REGISTERED = {
    'EncoderDecoderModel': _encoder_decoder(),
    'EncoderDecoderModel, tied': _encoder_decoder(logits_via_embedding=True),
    'EncoderDecoderModel, scanned': _encoder_decoder(
        scan_layers=True, num_encoder_layers=2, num_decoder_layers=2
    ),
    'EncoderDecoderModel, whole words': _encoder_decoder(with_whole_words=True),
    'EncoderDecoderModel, gated': _encoder_decoder(mlp_activations=('gelu', 'linear')),
}
