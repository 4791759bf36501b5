"""Which network a folder's `config.json` describes."""

import json
import pathlib
from typing import Any

from llmrec_jax.files import read_text
from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.hf_weights.config_file import t5_config
from llmrec_jax.models.hf_weights.decoder_config_file import ARCHITECTURES, decoder_config
from llmrec_jax.models.t5.config import T5Config

CONFIG = 'config.json'
# mT5 is T5 1.1 with other weights; the first files say no type.
T5_TYPES = (None, 't5', 'mt5')


def read_config(
    directory: str | pathlib.Path, dtype: Any = 'float32', dropout_rate: float | None = 0.0
) -> T5Config | DecoderConfig:
    """The configuration of the network that a folder's config.json describes.

    Args:
      directory: the folder.
      dtype: of activations.
      dropout_rate: of a T5; None for what the file says. The others have no dropout.

    Raises:
      FileNotFoundError: if there is no config.json.
      ValueError: if the file is not JSON, a key is missing, or the network is one that ours is not.
    """
    path = pathlib.Path(directory) / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: a Hugging Face folder has one')
    try:
        hf = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is not JSON: {error}') from error
    kind = hf.get('model_type')
    try:
        if kind in T5_TYPES:
            return t5_config(hf, path, dtype, dropout_rate)
        if kind in ARCHITECTURES:
            return decoder_config(hf, path, dtype)
    except KeyError as error:
        raise ValueError(f'{path} has no {error}') from error
    raise ValueError(f'{path} is of a {kind!r}; networks of this library are t5, {", ".join(ARCHITECTURES)}')
