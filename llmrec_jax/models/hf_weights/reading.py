"""Reads a folder that `save_pretrained` of a T5, LLaMA, Qwen or Gemma wrote."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util
from jaxtyping import Float, Float32

from llmrec_jax.files import read_text
from llmrec_jax.models.hf_weights.layout import Config, Layout, layout_of
from llmrec_jax.models.hf_weights.reading_config import read_config

WEIGHTS, INDEX = 'model.safetensors', 'model.safetensors.index.json'


def load_hf(directory: str | pathlib.Path, **config: Any) -> tuple[Config, dict[str, Any]]:
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
    tensors: Mapping[str, Float[np.ndarray, '...']], config: Config, encoder_only: bool = False
) -> dict[str, Any]:
    """The tensors of a network of Hugging Face's (or of a `T5EncoderModel`) as parameters of ours.

    Args:
      tensors: by Hugging Face's names.
      config: of the same network; layers are not stacked, whatever it says.
      encoder_only: whether to read what `Transformer.encode` of a T5 needs and no more.

    Raises:
      ValueError: if a tensor is missing, has another shape than `config` says, or has no place in the
        network, which then computes something else than the one the tensors are of.
    """
    layout = layout_of(config)
    params, taken = {}, set()
    for path, shape in layout.parameter_shapes(config).items():
        name = layout.hf_name(path)
        if encoder_only and path.startswith('decoder/'):
            continue
        if name is None:
            raise ValueError(f'{path} has no place in {layout.kind}, so its tensors do not give it')
        named = (name, *layout.stored_once.get(name, ()))
        name = next((other for other in named if other in tensors), name)
        if name not in tensors:
            raise ValueError(f'there is no tensor {name!r} for {path}')
        tensor = tensors[name].T if layout.is_transposed(path) else tensors[name]
        if tensor.shape != shape:
            raise ValueError(f'{name!r} has shape {tensor.shape} where {path} needs {shape}')
        params[path] = tensor
        taken.add(name)
    if not encoder_only:
        rest = {name: tensor for name, tensor in tensors.items() if name not in taken}
        _check_rest(rest, params, layout)
    return traverse_util.unflatten_dict(params, sep='/')


def _check_rest(rest: Mapping[str, np.ndarray], params: Mapping[str, np.ndarray], layout: Layout) -> None:
    embedding = params['token_embedder/embedding']
    for name, tensor in rest.items():
        if name in (layout.embedding, *layout.copies):
            if not np.array_equal(tensor, embedding):
                raise ValueError(
                    f'{name!r} differs from the embedding, which it is in the network that config.json '
                    'describes (see tie_word_embeddings there)'
                )
        elif not layout.is_unread(name):
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
