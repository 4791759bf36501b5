"""What every text encoder offers.

Vectors of texts that were embedded before, so that many runs embed a text once.
"""

import dataclasses
import hashlib
import logging
import os
import pathlib
import zipfile
from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from llmrec_jax import files


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors, the same ones whenever it is asked."""

    @property
    def name(self) -> str:
        """Tells this encoder, settings and weights included, from every other."""
        ...

    def encode(self, texts: Sequence[str]) -> Float32[np.ndarray, 'texts dim']:
        """A vector of length 1 for each text.

        Raises:
          ValueError: there are no texts, or the encoder can say nothing about one; the message names it.
        """
        ...


LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class EmbeddingCache:
    """An encoder that keeps what another one answers, in a file for each encoder, under hashes of the texts.

    Of two runs that write at once the later one's answers are kept; what is lost is asked for again.

    Attributes:
      encoder: embeds each text by itself; one that is fitted to all texts it is given, as `TfidfSvd` is,
        answers otherwise when it is asked about some of them.
      folder: where the files lie.
      texts_at_once: after how many new texts the file is written.

    Raises:
      ValueError: when `texts_at_once` is not positive.
    """

    encoder: TextEncoder
    folder: str | os.PathLike
    texts_at_once: int = 4096
    # Its name when workdirs were first made with it.
    FINGERPRINT_TAG: ClassVar[str] = 'KeptVectors'

    def __post_init__(self):
        if self.texts_at_once < 1:
            raise ValueError(f'EmbeddingCache.texts_at_once={self.texts_at_once} must be at least 1')

    @property
    def name(self) -> str:
        """That of the encoder, whose vectors these are."""
        return self.encoder.name

    def encode(self, texts: Sequence[str]) -> Float32[np.ndarray, 'texts dim']:
        """A vector of length 1 for each text.

        Raises:
          ValueError: as the encoder, and when the file of kept vectors is damaged.
        """
        if not texts:
            return self.encoder.encode(texts)
        name = self.name
        path = pathlib.Path(self.folder) / f'{hashlib.sha256(name.encode()).hexdigest()[:16]}.npz'
        kept = _read(path, name)
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts) if key not in kept}
        LOG.info('%d of %d texts were embedded before', len(set(keys)) - len(new), len(set(keys)))
        asked = list(new)
        for first in range(0, len(asked), self.texts_at_once):
            part = asked[first : first + self.texts_at_once]
            kept.update(zip(part, self.encoder.encode([new[key] for key in part])))
            _write(path, name, kept)
        return np.stack([kept[key] for key in keys])


def _read(path: pathlib.Path, name: str) -> dict[bytes, Float32[np.ndarray, 'dim']]:
    try:
        with np.load(path) as arrays:
            held, keys, vectors = str(arrays['encoder']), arrays['keys'], arrays['vectors']
    except FileNotFoundError:
        return {}
    except (zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
        raise ValueError(
            f'{path} is damaged ({error}); delete it, and its texts are embedded again'
        ) from error
    if held != name or len(keys) != len(vectors):
        raise ValueError(f'{path} holds vectors of {held}, not of {name}; delete it')
    return {key.tobytes(): vector for key, vector in zip(keys, vectors)}


def _write(path: pathlib.Path, name: str, kept: dict[bytes, Float32[np.ndarray, 'dim']]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = np.frombuffer(b''.join(kept), np.uint8).reshape(len(kept), -1)
    with files.written_whole(path) as file:
        np.savez(file, encoder=name, keys=keys, vectors=np.stack(list(kept.values())))
