"""Reads a folder that `T5ForConditionalGeneration.save_pretrained` wrote."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util
from jaxtyping import Float, Float32

from llmrec_jax.files import read_text
from llmrec_jax.models.hf_weights.config_file import read_config
from llmrec_jax.models.hf_weights.names import (
    COPIES,
    EMBEDDING,
    HEAD,
    UNREAD,
    hf_name,
    is_transposed,
    parameter_shapes,
)
from llmrec_jax.models.t5.config import T5Config

WEIGHTS, INDEX = 'model.safetensors', 'model.safetensors.index.json'
# A tensor with several names is stored once, under whichever of them its writer kept: the embedding of both
# stacks, and a head that is the embedding (in T5 1.1 too, where it is not scaled).
STORED_ONCE = {HEAD: (EMBEDDING, *COPIES), EMBEDDING: (*COPIES, HEAD)}


def load_hf(directory: str | pathlib.Path, **config: Any) -> tuple[T5Config, dict[str, Any]]:
    """Config and parameters of a folder, the latter float32 with one subtree a layer.

    `config` is handed to `read_config`; raises what `read_config`, `read_tensors` and `params_from_hf` raise.
    """
    read = read_config(directory, **config)
    return read, params_from_hf(read_tensors(directory), read)


def read_tensors(directory: str | pathlib.Path) -> dict[str, Float32[np.ndarray, '...']]:
    """All tensors of a folder's model.safetensors, or of the files that its index names, as float32.

    Raises:
      FileNotFoundError: if there are none, or one that the index names is not there.
      ValueError: if a file is damaged.
    """
    import safetensors.numpy

    tensors = {}
    for path in _weight_files(pathlib.Path(directory)):
        try:
            tensors |= safetensors.numpy.load_file(path)
        except safetensors.SafetensorError as error:
            raise ValueError(f'{path} is damaged or cut short: {error}') from error
    return {name: tensor.astype(np.float32, copy=False) for name, tensor in tensors.items()}


def params_from_hf(
    tensors: Mapping[str, Float[np.ndarray, '...']], config: T5Config, encoder_only: bool = False
) -> dict[str, Any]:
    """The tensors of a `T5ForConditionalGeneration` (or a `T5EncoderModel`) as parameters of a `Transformer`.

    Args:
      tensors: by Hugging Face's names.
      config: of the same network; layers are not stacked, whatever it says.
      encoder_only: whether to read what `Transformer.encode` needs and no more.

    Raises:
      ValueError: if a tensor is missing, has another shape than `config` says, or has no place in the
        network, which then computes something else than the one the tensors are of.
    """
    params, taken = {}, set()
    for path, shape in parameter_shapes(config).items():
        name = hf_name(path)
        if encoder_only and path.startswith('decoder/'):
            continue
        if name is None:
            raise ValueError(f"{path} has no place in Hugging Face's T5, so its tensors do not give it")
        name = next((other for other in (name, *STORED_ONCE.get(name, ())) if other in tensors), name)
        if name not in tensors:
            raise ValueError(f'there is no tensor {name!r} for {path}')
        tensor = tensors[name].T if is_transposed(path) else tensors[name]
        if tensor.shape != shape:
            raise ValueError(f'{name!r} has shape {tensor.shape} where {path} needs {shape}')
        params[path] = tensor
        taken.add(name)
    if not encoder_only:
        _check_rest({name: tensor for name, tensor in tensors.items() if name not in taken}, params)
    return traverse_util.unflatten_dict(params, sep='/')


def _check_rest(rest: Mapping[str, np.ndarray], params: Mapping[str, np.ndarray]) -> None:
    embedding = params['token_embedder/embedding']
    for name, tensor in rest.items():
        if name in (EMBEDDING, HEAD, *COPIES):
            if not np.array_equal(tensor, embedding):
                raise ValueError(
                    f'{name!r} differs from the embedding, which it is in the network that config.json '
                    'describes (see tie_word_embeddings there)'
                )
        elif name not in UNREAD:
            raise ValueError(
                f'{name!r} has no place in the network that config.json describes, so without it the network '
                'would compute something else'
            )


def _weight_files(folder: pathlib.Path) -> list[pathlib.Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.is_file():
        raise FileNotFoundError(
            f'{folder} holds neither {WEIGHTS} nor {INDEX}; save the model with safe_serialization to get one'
        )
    try:
        files = [folder / name for name in sorted(set(json.loads(read_text(index))['weight_map'].values()))]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f'{index} is no index of safetensors ({error!r}); get the folder again') from error
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(f'{path} does not exist, and {index.name} names it; get the folder again')
    return files
