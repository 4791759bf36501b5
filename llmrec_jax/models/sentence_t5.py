"""Text vectors from T5's encoder: Sentence-T5 (https://arxiv.org/abs/2108.08877), TIGER's item encoder.

A vector is the mean of the encoder's outputs over the text's tokens, projected where the checkpoint has a
projection, and scaled to length 1.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sentencepiece
from jaxtyping import Array, Float, Float32, Int

from llmrec_jax.models.hf_weights import params_from_hf, read_config, read_tensors
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer

EOS = 1
# Texts are padded to a multiple of this, so that few shapes are compiled.
LENGTH_STEP = 32


@dataclasses.dataclass(frozen=True)
class TextEncoderWeights:
    """What a checkpoint holds.

    Attributes:
      config: of the network.
      params: of `Transformer`, at least what `encode` needs.
      projection: applied to the mean; None where the checkpoint has none.
      sentencepiece_model: the tokenizer's file.
      sha256: of all files of the checkpoint.
    """

    config: T5Config
    params: dict[str, Any]
    projection: Float[np.ndarray, 'embed dim'] | None
    sentencepiece_model: pathlib.Path
    sha256: str


@dataclasses.dataclass(frozen=True)
class SentenceTransformersFolder:
    """A sentence-transformers folder with a T5 encoder, e.g. sentence-t5-base.

    Attributes:
      directory: holds config.json, `*.safetensors`, spiece.model and, for a projection, 2_Dense.
    """

    directory: str

    def load(self) -> TextEncoderWeights:
        """Reads the folder.

        Raises:
          FileNotFoundError: naming the file that is missing.
          ValueError: if the tensors are not those of config.json.
        """
        folder = pathlib.Path(self.directory)
        config = read_config(folder)
        tokenizer = _existing(folder / 'spiece.model')
        dense = folder / '2_Dense'
        projection = read_tensors(dense)['linear.weight'].T if dense.is_dir() else None
        params = params_from_hf(read_tensors(folder), config, encoder_only=True)
        return TextEncoderWeights(config, params, projection, tokenizer, _sha256(folder.rglob('*')))


@dataclasses.dataclass(frozen=True)
class T5xCheckpoint:
    """A T5X checkpoint that Orbax wrote, of an encoder-decoder or of a dual encoder.

    Attributes:
      directory: a `checkpoint_<step>` folder.
      sentencepiece_model: the tokenizer's file.
      config: of the network; a checkpoint does not tell heads from their width.
    """

    directory: str
    sentencepiece_model: str
    config: T5Config

    def load(self) -> TextEncoderWeights:
        """Reads the checkpoint.

        Raises:
          FileNotFoundError: naming what is missing.
        """
        import orbax.checkpoint as ocp

        state = _existing(pathlib.Path(self.directory).absolute() / 'state')
        tokenizer = _existing(pathlib.Path(self.sentencepiece_model))
        checkpointer = ocp.PyTreeCheckpointer()
        structure = checkpointer.metadata(state).item_metadata.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), structure)
        params = checkpointer.restore(state, restore_args=as_numpy)['target']
        projection = params.pop('projection_layer', {}).get('kernel')
        sha256 = _sha256([*state.rglob('*'), tokenizer])
        return TextEncoderWeights(self.config, params, projection, tokenizer, sha256)


@dataclasses.dataclass(frozen=True)
class SentenceT5:
    """A `text.text_encoder.TextEncoder` over a T5 checkpoint.

    Attributes:
      checkpoint: where the weights are.
      max_tokens: longer texts are cut.
      batch_size: texts encoded at once.
    """

    checkpoint: SentenceTransformersFolder | T5xCheckpoint
    max_tokens: int = 256
    batch_size: int = 32

    @property
    def name(self) -> str:
        """Kind, limit and the hash of the weights."""
        return f'sentence_t5/max_tokens={self.max_tokens}/{self._weights.sha256[:16]}'

    def encode(self, texts: Sequence[str]) -> Float32[np.ndarray, 'texts dim']:
        """A vector of length 1 for each text.

        Raises:
          FileNotFoundError, ValueError: from reading the checkpoint.
          ValueError: if there are no texts, or one has no token.
        """
        if not texts:
            raise ValueError('there are no texts to encode')
        rows = [row[: self.max_tokens - 1] for row in self._tokenizer.encode(list(texts))]
        blank = [index for index, row in enumerate(rows) if not row]
        if blank:
            raise ValueError(f'text {blank[0]} ({texts[blank[0]]!r}) has no token; {len(blank)} such texts')
        # Neighbours of like length share a batch, so little is padded.
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        batches = [order[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        vectors = [
            np.asarray(self._encode_tokens(_padded([rows[i] for i in batch], self.batch_size)))[: len(batch)]
            for batch in batches
        ]
        return np.concatenate(vectors)[np.argsort(order)]

    @functools.cached_property
    def _weights(self) -> TextEncoderWeights:
        return self.checkpoint.load()

    @functools.cached_property
    def _tokenizer(self) -> sentencepiece.SentencePieceProcessor:
        return sentencepiece.SentencePieceProcessor(model_file=str(self._weights.sentencepiece_model))

    @functools.cached_property
    def _encode_tokens(self) -> Callable[[Int[np.ndarray, 'batch length']], Float32[Array, 'batch dim']]:
        weights = self._weights
        compiled = jax.jit(functools.partial(sentence_vectors, Transformer(weights.config)))
        return lambda tokens: compiled(weights.params, weights.projection, tokens)


def sentence_vectors(
    module: Transformer,
    params: Any,
    projection: Float[Array, 'embed dim'] | None,
    tokens: Int[Array, 'batch length'],
) -> Float32[Array, 'batch _']:
    """Mean of the encoder's outputs over real tokens, projected, scaled to length 1."""
    encoded = module.apply({'params': params}, tokens, method='encode').astype(jnp.float32)
    real = (tokens > 0).astype(jnp.float32)[:, :, None]
    pooled = jnp.sum(encoded * real, axis=1) / jnp.maximum(jnp.sum(real, axis=1), 1)
    if projection is not None:
        pooled = pooled @ projection
    return pooled / jnp.linalg.norm(pooled, axis=-1, keepdims=True)


def _padded(rows: Sequence[Sequence[int]], batch_size: int) -> Int[np.ndarray, 'batch length']:
    """Rows with the end token, padded with 0 to a full batch and a multiple of `LENGTH_STEP`."""
    length = -(-(max(map(len, rows)) + 1) // LENGTH_STEP) * LENGTH_STEP
    tokens = np.zeros((batch_size, length), np.int32)
    # Rows that only fill the batch up hold an end token: a mean over no token at all would be NaN.
    tokens[:, 0] = EOS
    for index, row in enumerate(rows):
        tokens[index, : len(row) + 1] = [*row, EOS]
    return tokens


def _existing(path: pathlib.Path) -> pathlib.Path:
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    return path


def _sha256(files: Iterable[pathlib.Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file()):
        with path.open('rb') as opened:
            digest.update(hashlib.file_digest(opened, 'sha256').digest())
    return digest.hexdigest()
